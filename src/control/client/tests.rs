use super::*;

#[test]
fn a_place_is_a_path_or_an_address() {
    assert_eq!(Place::of("a/b.sock"), Place::Socket("a/b.sock".into()));
    assert_eq!(Place::of("unix:///a/b"), Place::Socket("/a/b".into()));
    assert_eq!(
        Place::of("http://localhost:1/"),
        Place::Url("http://localhost:1".into())
    );
}

#[test]
fn targets_are_encoded_for_a_path() {
    let targets = ["monitoring:*".to_owned(), "a/b".to_owned()];
    assert_eq!(encoded(&targets), "monitoring%3A%2A,a%2Fb");
}

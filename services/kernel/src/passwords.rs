//! Passwords in web addresses, `https://user:password@host/`: whoever shows an address shows it without.

use std::borrow::Cow;
use std::ops::Range;

/// Stands in the place of a password.
const HIDDEN: &str = "***";
/// What is between the scheme of an address and its host.
const AFTER_SCHEME: &str = "://";
/// Characters that end the part of an address with user and host, in an address or in a text around it.
const ENDS: [char; 9] = ['/', '?', '#', '"', '\'', '`', '<', '>', ' '];

/// Returns a text with `***` in the place of the password of every web address in it.
pub fn without_passwords(text: &str) -> Cow<'_, str> {
    replaced(text, |_| HIDDEN.to_owned())
}

/// Returns a text with stars in the place of the password of every web address in it, as many as the
/// password has bytes, so that places in the text stay the same.
pub fn with_passwords_starred(text: &str) -> Cow<'_, str> {
    replaced(text, |password| "*".repeat(password.len()))
}

fn replaced(text: &str, by: impl Fn(&str) -> String) -> Cow<'_, str> {
    let found = passwords(text);
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for Range { start, end } in found {
        shown.extend(
            [
                text.get(done..start),
                Some(&*by(text.get(start..end).unwrap_or_default())),
            ]
            .into_iter()
            .flatten(),
        );
        done = end;
    }
    shown.extend(text.get(done..));
    Cow::Owned(shown)
}

/// Finds the passwords in a text.
fn passwords(text: &str) -> Vec<Range<usize>> {
    let starts = text.match_indices(AFTER_SCHEME);
    let password = |(at, _): (usize, &str)| {
        let start = at + AFTER_SCHEME.len();
        let rest = text.get(start..)?;
        let end = rest.find(|c: char| ENDS.contains(&c) || c.is_control());
        let authority = rest.get(..end.unwrap_or(rest.len()))?;
        // The last one: one in the password should be written as %40, but often is not.
        let user = authority.get(..authority.rfind('@')?)?;
        let colon = user.find(':')?;
        (colon + 1 < user.len()).then(|| start + colon + 1..start + user.len())
    };
    starts.filter_map(password).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_in_an_address_is_never_shown() {
        let cases = [
            ("http://host/x", "http://host/x"),
            (
                "https://me:pass@host:81/x?y=a@b:c",
                "https://me:***@host:81/x?y=a@b:c",
            ),
            ("https://me:p@ss:word@host", "https://me:***@host"),
            ("https://me@host:80/", "https://me@host:80/"),
            ("https://me:@host/", "https://me:@host/"),
            ("host:80/a@b", "host:80/a@b"),
            (
                "cannot read `http://a:b@c`: \"ftp://d:e@f/\" and http://g:h@i",
                "cannot read `http://a:***@c`: \"ftp://d:***@f/\" and http://g:***@i",
            ),
            ("http://a:geheimüß@c/ü", "http://a:***@c/ü"),
            ("://:x@", "://:***@"),
            ("", ""),
        ];
        for (text, shown) in cases {
            assert_eq!(without_passwords(text), shown);
            assert_eq!(with_passwords_starred(text).len(), text.len());
        }
        assert_eq!(with_passwords_starred("http://a:bcd@e/"), "http://a:***@e/");
        assert!(matches!(
            without_passwords("http://host/x"),
            Cow::Borrowed(_)
        ));
    }
}

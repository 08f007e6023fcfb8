//! Files that mean no good: reported, never a panic, never without an end.

use super::{converted, folder_with, import};

#[test]
fn broken_files_are_reported_and_the_rest_converts() {
    let good = "[program:good]\ncommand=a\n";
    for bad in [
        "no section here\n",
        "[program:x\ncommand=a\n",
        "[]\n=\n:\n",
        "[program:x]\n",
        "[program:x]\ncommand=\n",
        "[program:x]\ncommand='\n",
        "[program:x]\ncommand=%\n",
        "[program:x]\ncommand=a\nnumprocs=3\n",
        "[program:x]\ncommand=a\nstartsecs=99999999999999999999\n",
        "[program:x]\ncommand=a\nstartsecs=-1\nstopwaitsecs=1e9\nexitcodes=256,\n",
        "[program:x]\ncommand=a\nenvironment=A=\"\n",
        "[group:g]\nprograms=nobody\n",
        "[include]\n",
        "[include]\nfiles=no/such/*.conf\n",
        "[include]\nfiles=supervisord.conf/x [\n",
        "[inet_http_server]\nport=99999\n",
        "[supervisord]\nloglevel=loud\nenvironment=A=\n",
    ] {
        let ran = converted(&format!("{bad}{good}"));
        assert_eq!(ran.code, 2, "{bad}\n{}", ran.err);
        assert!(ran.out.contains("[service.good]"), "{bad}\n{}", ran.out);
    }
}

#[test]
fn odd_letters_do_no_harm() {
    let ran = converted(
        "; \u{1}\u{7f}\u{85}\"\"\" ''' \\\n[program:\u{fc}\"x\\]\ncommand=a \u{1} \"\\\\\"\n\
         environment=\u{e9}=\"\\n\u{0}\"\n;=\u{b}\n",
    );
    assert!(ran.out.contains("[service.x__x_]"), "{}", ran.out);
}

#[test]
fn every_beginning_and_every_flipped_bit_converts() {
    let text = std::fs::read_to_string("tests/import/km3mon/supervisord.conf").unwrap();
    let source = |folder: &std::path::Path| fathom::import::Source {
        file: folder.join("supervisord.conf"),
        folder: None,
        environment: Default::default(),
        host: "host".to_owned(),
    };
    let folder = folder_with("");
    let path = folder.path().join("supervisord.conf");
    let step = 7;
    for end in (0..text.len()).step_by(step) {
        std::fs::write(&path, &text.as_bytes()[..end]).unwrap();
        fathom::import::import(&source(folder.path())).unwrap();
        let mut bytes = text.clone().into_bytes();
        bytes[end] ^= 1 << (end / step % 8);
        std::fs::write(&path, bytes).unwrap();
        let imported = fathom::import::import(&source(folder.path())).unwrap();
        imported.text.parse::<toml::Table>().unwrap();
    }
}

#[test]
fn size_is_bounded() {
    let folder =
        folder_with("[program:x]\ncommand=a\nprocess_name=%(process_num)d\nnumprocs=2000000000\n");
    let ran = import(folder.path(), &[]);
    assert!(
        ran.err.contains("only the first 1000 processes"),
        "{}",
        ran.err
    );
    let programs: String = (0..5000)
        .map(|n| format!("[program:p{n}]\ncommand=a\npriority={}\n", n % 3))
        .collect();
    let folder = folder_with(&programs);
    let ran = import(folder.path(), &[]);
    assert!(
        ran.err.contains("only 4096 services are written"),
        "{}",
        ran.err
    );
    assert!(ran.out.len() < 16 << 20);
    let many = "a=1\n".repeat(500_000);
    let folder = folder_with(&format!("[program:x]\ncommand=a\n{many}"));
    assert_eq!(import(folder.path(), &[]).code, 0);
    let folder = folder_with(&";\n".repeat(3 << 20));
    let ran = import(folder.path(), &[]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.err.contains("has more than 4194304 bytes"),
        "{}",
        ran.err
    );
}

//! Files of the stack: names made from service names, and replacement in one step.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;

/// Makes a file name of a service's name; equal names only for equal services.
pub(crate) fn name_of(service: &str) -> String {
    let mut name = String::with_capacity(service.len());
    for (at, byte) in service.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || b"_-:".contains(&byte) || (byte == b'.' && at > 0);
        if plain {
            name.push(char::from(byte));
        } else {
            write!(name, "%{byte:02x}").expect("writing to a string never fails");
        }
    }
    name
}

/// Writes a file so that readers, and a crash at any moment, leave the old or the new one.
pub(crate) fn replace(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut new_name = path.file_name().unwrap_or_default().to_owned();
    new_name.push(".new");
    let new = path.with_file_name(new_name);
    let done = write(&new, parts).and_then(|()| std::fs::rename(&new, path));
    done.inspect_err(|_| {
        // A disk that is full shall not keep what is of no use as well. It may not even be there.
        std::fs::remove_file(&new).ok();
    })
}

fn write(path: &Path, parts: &[&[u8]]) -> std::io::Result<()> {
    let mut file = std::fs::File::create(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_replaced_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report");
        std::fs::create_dir(&path).unwrap();
        std::fs::write(path.join("in_the_way"), "").unwrap();
        assert!(replace(&path, &[b"text"]).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn names_stay_in_their_folder_and_apart() {
        assert_eq!(name_of("ligiers:ligier"), "ligiers:ligier");
        assert_eq!(name_of("../x"), "%2e.%2fx");
        assert_eq!(name_of("%2f"), "%252f");
        assert_eq!(name_of(".hidden"), "%2ehidden");
    }
}

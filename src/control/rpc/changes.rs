//! Reads the configuration anew, adds and removes groups, and starts everything afresh.

use fathom_kernel::{Command, Reply};

use super::desk::{Desk, unexpected};
use super::fault::Fault;
use super::xml::Xml;

/// Reads the configuration and returns the groups that it would add, change and remove.
pub(super) async fn reread(desk: &Desk) -> Result<Xml, Fault> {
    let Reply::Changes(changes) = desk.ask(Command::Reread).await? else {
        return Err(unexpected());
    };
    let groups = changes.by_group();
    let mut xml = Xml::default();
    // The three lists are the one element of the one element of the answer.
    xml.array(|xml| {
        xml.array(|xml| {
            for list in [&groups.added, &groups.changed, &groups.removed] {
                xml.append(&Xml::of_texts(list.iter().map(String::as_str)));
            }
        });
    });
    Ok(xml)
}

/// Takes a group of the configuration last read into service.
pub(super) async fn add(desk: &Desk, group: String) -> Result<Xml, Fault> {
    settled(desk, Command::Add { group }).await
}

/// Takes a group that does not run out of service.
pub(super) async fn remove(desk: &Desk, group: String) -> Result<Xml, Fault> {
    settled(desk, Command::Remove { group }).await
}

/// Stops everything and starts it again with the configuration as it is then.
pub(super) async fn restart(desk: &Desk) -> Result<Xml, Fault> {
    settled(desk, Command::Reload { wait: false }).await
}

async fn settled(desk: &Desk, command: Command) -> Result<Xml, Fault> {
    desk.ask(command).await.map(|_| Xml::yes())
}

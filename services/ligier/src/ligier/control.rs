//! What clients may ask of the broker itself.

use std::sync::Arc;

use fathom_formats::controlhost::{Control, SubscriptionError, Subscriptions, Tag, tags};
use tracing::{info, warn};

use super::session::Broker;
use crate::relay::{Client, Closing, WireBuffer};

const WHERE_IS: Tag = Tag::of("_WhereIs");
const NICKNAME_BYTES_MAX: usize = 255;

/// Why a client is dropped for what it asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    /// The list of tags cannot be read.
    #[error("subscription refused")]
    Subscription(#[from] SubscriptionError),
    /// Another client has the name that only one may have.
    #[error("name {0} is taken")]
    NameTaken(String),
}

impl Broker {
    /// Does what a client asks.
    pub(crate) fn obey(
        &self,
        client: &Arc<Client>,
        control: Control,
        body: &[u8],
    ) -> Result<(), ControlError> {
        match control {
            Control::Subscribe => {
                let list = Subscriptions::parse(body)?;
                self.hub.subscribe(client, list, self.rules.replace);
            }
            Control::Always => client.credit_always(),
            Control::Gime => client.credit_one(),
            Control::MyId => self.name_client(client, text_of(body)),
            Control::UniqueId => {
                let name = text_of(body);
                if self.find(&name).is_some_and(|other| other.id != client.id) {
                    return Err(ControlError::NameTaken(name));
                }
                self.name_client(client, name);
            }
            Control::WhereIs => self.tell_where(client, &text_of(body)),
            Control::ShowStatistics => self.log_statistics(),
            Control::CloseAll => self.close_clients(client, &text_of(body)),
            Control::StopDispatcher => self.stop_on_request(client),
            // Swallowed: a broker that answers confuses every client there is.
            Control::Version | Control::SkipMode | Control::Unknown => {}
        }
        Ok(())
    }

    /// Publishes a message of the broker's own.
    pub(crate) fn publish(&self, tag: Tag, body: &[u8]) {
        match WireBuffer::one(tag, body) {
            Ok(arrival) => self.hub.deliver(&arrival, &arrival.frames),
            Err(error) => warn!(%tag, %error, "message of the broker was not published"),
        }
    }

    fn name_client(&self, client: &Client, name: String) {
        if name.is_empty() {
            return;
        }
        self.publish(tags::BORN, name.as_bytes());
        client.set_nickname(name);
    }

    fn find(&self, name: &str) -> Option<Arc<Client>> {
        let mut clients = self.hub.clients().into_iter();
        clients.find(|client| client.nickname().as_deref() == Some(name))
    }

    fn tell_where(&self, client: &Client, name: &str) {
        let host = self.find(name).map(|found| found.host().to_owned());
        if let Ok(arrival) = WireBuffer::one(WHERE_IS, host.unwrap_or_default().as_bytes()) {
            self.hub.discarded(&client.answer(arrival.into_slab()));
        }
    }

    fn log_statistics(&self) {
        for row in self.hub.tags() {
            info!(
                tag = row.tag,
                received = row.received,
                sent = row.sent,
                dropped = row.dropped,
                "statistics asked for by a client"
            );
        }
    }

    fn close_clients(&self, asking: &Client, name: &str) {
        if !self.rules.remote_control {
            warn!(client = asking.id, peer = %asking.peer, "request to close clients refused");
            return;
        }
        info!(client = asking.id, peer = %asking.peer, name, "closing clients on request");
        for client in self.hub.clients() {
            let is_meant = name.is_empty() || client.nickname().as_deref() == Some(name);
            if is_meant && client.id != asking.id {
                self.hub.discarded(&client.close(Closing::AtFrame));
                client.leave.cancel();
            }
        }
    }

    fn stop_on_request(&self, asking: &Client) {
        if !self.rules.remote_control {
            warn!(client = asking.id, peer = %asking.peer, "request to stop the broker refused");
            return;
        }
        info!(client = asking.id, peer = %asking.peer, "stopping on request of a client");
        self.quit.cancel();
    }
}

/// Returns the text of a control message, without the NULs and blanks around it.
fn text_of(body: &[u8]) -> String {
    let body = body.get(..NICKNAME_BYTES_MAX).unwrap_or(body);
    let text = String::from_utf8_lossy(body);
    text.trim_matches(|c: char| c == '\0' || c.is_whitespace())
        .to_owned()
}

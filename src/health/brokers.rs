//! What the brokers of the stack say of their tags and clients.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use super::senses::Names;

/// Asks a service a question; `None` when it does not run or refuses. Waits as long as it takes.
pub type Asker = Arc<dyn Fn(&'static str) -> BoxFuture<'static, Option<Value>> + Send + Sync>;

/// What one broker says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tables {
    /// Messages received by tag.
    pub(super) tags: HashMap<String, u64>,
    /// Its clients that gave themselves a name.
    pub(super) clients: Vec<Client>,
}

/// One client of a broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) name: String,
    /// Messages from it.
    pub(super) received: u64,
    /// Messages to it.
    pub(super) sent: u64,
    /// Messages for it that were dropped.
    pub(super) dropped: u64,
    /// Messages that wait for it.
    pub(super) queued: u64,
}

impl Tables {
    /// Asks a broker.
    pub(super) async fn ask(asker: &Asker) -> Option<Self> {
        let tags = asker("tags").await?;
        let clients = asker("clients").await?;
        Some(Self::of(&tags, &clients))
    }

    fn of(tags: &Value, clients: &Value) -> Self {
        let rows = |table: &Value| table.as_array().cloned().unwrap_or_default();
        let number = |row: &Value, column: &str| row.get(column).and_then(Value::as_u64);
        let tags = rows(tags).into_iter().filter_map(|row| {
            let tag = row.get("tag")?.as_str()?.to_owned();
            Some((tag, number(&row, "received")?))
        });
        let clients = rows(clients).into_iter().filter_map(|row| {
            let count = |column| number(&row, column).unwrap_or(0);
            Some(Client {
                name: row.get("name")?.as_str()?.to_owned(),
                received: count("received"),
                sent: count("sent"),
                dropped: count("dropped"),
                queued: count("queued"),
            })
        });
        Self {
            tags: tags.collect(),
            clients: clients.collect(),
        }
    }

    /// Returns the clients that are a service: by one of its full names, or by what follows a group
    /// there.
    pub(super) fn of_service<'a>(&'a self, service: Names<'a>) -> impl Iterator<Item = &'a Client> {
        let is_it = move |client: &&Client| {
            service.all().any(|name| {
                let short = name.rsplit(':').next();
                client.name == name || Some(&*client.name) == short
            })
        };
        self.clients.iter().filter(is_it)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_of_the_broker_are_read_and_clients_found_by_either_name() {
        let tags = json!([{ "tag": "IO_SUM", "received": 7, "rate_hz": null }, { "tag": 3 }]);
        let clients = json!([
            { "client": 1, "name": null, "sent": 1 },
            { "client": 2, "name": "plot", "sent": 5, "received": 2, "queued": 3, "dropped": 1 },
            { "client": 3, "name": "g:plot", "sent": 1 },
        ]);
        let tables = Tables::of(&tags, &clients);
        assert_eq!(tables.tags, HashMap::from([("IO_SUM".to_owned(), 7)]));
        let sent = |name: &str, alias| {
            let name = &Arc::from(name);
            let clients = tables.of_service(Names { name, alias });
            clients.map(|client| client.sent).collect::<Vec<u64>>()
        };
        assert_eq!(sent("g:plot", None), [5, 1]);
        assert_eq!(sent("plotter", None), [0; 0]);
        // What runs was started under another name and told that to the broker.
        assert_eq!(sent("h:other", Some("g:plot")), [5, 1]);
        assert_eq!(Tables::of(&json!(null), &json!(1)), Tables::default());
    }
}

//! What the client does with logs.

use fathom_kernel::{Outcome, Timestamp};
use percent_encoding::utf8_percent_encode;
use reqwest::Method;

use super::{ANSWER_MAX, Client, ClientError, KEPT, LogPart, Signals, encoded};

impl Client {
    /// Returns the end of a log; of the supervisor's own for the empty name.
    pub async fn tail(&self, name: &str, lines: usize) -> Result<Vec<String>, ClientError> {
        self.get(&log_path(name, lines, false)).await
    }

    /// Returns the last lines of a log.
    pub async fn last_lines(&self, name: &str, lines: usize) -> Result<LogPart, ClientError> {
        self.get(&format!("{}&full=true", log_path(name, lines, false)))
            .await
    }

    /// Returns the lines of a log since a time.
    pub async fn lines_since(&self, name: &str, since: Timestamp) -> Result<LogPart, ClientError> {
        let since = utf8_percent_encode(&since.to_string(), KEPT).to_string();
        self.get(&format!("{}?since={since}&full=true", log_address(name)))
            .await
    }

    /// Follows a log, beginning with the lines since a time.
    pub async fn follow_since(&self, name: &str, since: Timestamp) -> Result<Signals, ClientError> {
        let since = utf8_percent_encode(&since.to_string(), KEPT).to_string();
        let path = format!("{}?since={since}&follow=true", log_address(name));
        self.signals(&path).await
    }

    /// Returns the last bytes of a log file.
    pub async fn last_bytes(&self, name: &str, bytes: u32) -> Result<Vec<u8>, ClientError> {
        let path = format!("{}?offset=-{bytes}", log_address(name));
        let request = self.build(Method::GET, &path).timeout(ANSWER_MAX);
        let response = self.send(request).await?;
        let part = response.bytes().await.map_err(|error| self.failed(error))?;
        Ok(part.into())
    }

    /// Empties logs.
    pub async fn clear_logs(&self, targets: &[String]) -> Result<Vec<Outcome>, ClientError> {
        let path = format!("/api/logs/{}/clear", encoded(targets));
        self.post(&path, &serde_json::json!({}), Some(ANSWER_MAX))
            .await
    }

    /// Rotates logs.
    pub async fn rotate_logs(&self, targets: &[String]) -> Result<Vec<Outcome>, ClientError> {
        let path = format!("/api/logs/{}/rotate", encoded(targets));
        self.post(&path, &serde_json::json!({}), Some(ANSWER_MAX))
            .await
    }

    /// Follows a log, beginning with its last lines.
    pub async fn follow(&self, name: &str, lines: usize) -> Result<Signals, ClientError> {
        self.signals(&log_path(name, lines, true)).await
    }
}

fn log_path(name: &str, lines: usize, follow: bool) -> String {
    format!("{}?lines={lines}&follow={follow}", log_address(name))
}

fn log_address(name: &str) -> String {
    let slash = if name.is_empty() { "" } else { "/" };
    format!("/api/logs{slash}{}", utf8_percent_encode(name, KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_supervisors_own_log_has_no_name() {
        assert_eq!(log_path("", 5, false), "/api/logs?lines=5&follow=false");
        assert_eq!(log_address("a:b"), "/api/logs/a%3Ab");
    }
}

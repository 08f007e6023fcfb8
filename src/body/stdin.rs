//! Standard input of a program: a pipe, so that it can be told something. One that does not read
//! makes nobody wait.

use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;

use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;

/// Most texts waiting for one program to read them; further ones are refused.
pub(super) const WAITING_MAX: usize = 16;

/// Makes the pipe. The task that fills it ends with the last sender of texts, or with the program,
/// or when that closes its end.
pub(super) fn fill(mut texts: mpsc::Receiver<Vec<u8>>) -> io::Result<PipeReader> {
    let (reader, writer) = io::pipe()?;
    let mut writer = pipe::Sender::from_owned_fd(OwnedFd::from(writer))?;
    tokio::spawn(async move {
        while let Some(text) = texts.recv().await {
            if let Err(error) = writer.write_all(&text).await {
                tracing::debug!(%error, "nobody reads standard input any more");
                return;
            }
        }
    });
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[tokio::test]
    async fn a_program_reads_what_it_is_told_until_the_sender_is_gone() {
        let (tell, texts) = mpsc::channel(WAITING_MAX);
        let mut reader = fill(texts).unwrap();
        let told = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).map(|_| text)
        });
        tell.send(b"one\n".to_vec()).await.unwrap();
        tell.send(b"two".to_vec()).await.unwrap();
        drop(tell);
        assert_eq!(told.await.unwrap().unwrap(), "one\ntwo");
    }

    #[tokio::test]
    async fn a_program_that_does_not_read_makes_nobody_wait() {
        let (tell, texts) = mpsc::channel(WAITING_MAX);
        let reader = fill(texts).unwrap();
        let long = vec![b'x'; 1 << 20];
        while tell.try_send(long.clone()).is_ok() {
            tokio::task::yield_now().await;
        }
        drop(reader);
        // Its end closes the way to it.
        tell.closed().await;
    }
}

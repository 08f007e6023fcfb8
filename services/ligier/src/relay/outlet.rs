//! Writes a client's queue to its stream, as much as possible in each call.

use std::io::{self, IoSlice};

use tokio::net::tcp::OwnedWriteHalf;

use super::client::{Client, Turn};
use super::flight::{Flight, Progress, SLICES_MAX};
use super::hub::Hub;

/// Sends what a client's queue gets until the client is closing and nothing is left to send.
///
/// When it is dropped or fails, `flight` tells what was being sent.
pub(crate) async fn write_frames(
    hub: &Hub,
    client: &Client,
    stream: &OwnedWriteHalf,
    flight: &mut Flight,
) -> io::Result<()> {
    let mut epoch = client.epoch();
    let mut progress = Progress::default();
    loop {
        match client.turn(progress, flight) {
            Turn::End => return Ok(()),
            Turn::Wait => {
                progress = Progress::default();
                client.woken().await;
                continue;
            }
            Turn::Send => {}
        }
        stream.writable().await?;
        if client.epoch() != epoch {
            let (now, lost) = client.revise(flight);
            epoch = now;
            hub.discarded(&lost);
        }
        progress = write_some(stream, flight)?;
        hub.counters.sent(progress.messages, progress.bytes);
    }
}

fn write_some(stream: &OwnedWriteHalf, flight: &mut Flight) -> io::Result<Progress> {
    if flight.is_empty() {
        return Ok(Progress::default());
    }
    let written = {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        stream.try_write_vectored(flight.slices(&mut slices))
    };
    match written {
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        Ok(bytes) => Ok(flight.advance(bytes)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Progress::default()),
        Err(error) => Err(error),
    }
}

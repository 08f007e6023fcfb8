//! The four protocols, as little of each as a producer and a subscriber need.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// How a broker is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Ours.
    ControlHost,
    /// The same bytes, but nobody looks at them.
    Raw,
    Nats,
    Redis,
    /// ZMTP 3.0 with the mechanism NULL; the topic is the front of the message.
    Zmtp,
}

use Dialect::{ControlHost, Nats, Raw, Redis, Zmtp};

impl Dialect {
    /// Returns the bytes with which a producer sends a message.
    pub(crate) fn publish(self, tag: &str, body: &[u8]) -> Vec<u8> {
        let head = match self {
            ControlHost | Raw => prefix(tag, body.len()),
            Nats => format!("PUB {tag} {}\r\n", body.len()).into_bytes(),
            Redis => format!(
                "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{tag}\r\n${}\r\n",
                tag.len(),
                body.len()
            )
            .into_bytes(),
            Zmtp => [zmtp_head(0, body.len() + 8), topic(tag)].concat(),
        };
        [&head, body, self.tail()].concat()
    }

    /// Returns the length of what a subscriber gets for a message.
    pub(crate) fn delivered(self, tag: &str, body_len: usize) -> usize {
        let head = match self {
            ControlHost | Raw => 16,
            Nats => format!("MSG {tag} 1 {body_len}\r\n").len(),
            Redis => redis_message(tag, body_len).len(),
            Zmtp => zmtp_head(0, body_len + 8).len() + 8,
        };
        head + body_len + self.tail().len()
    }

    fn tail(self) -> &'static [u8] {
        match self {
            Nats | Redis => b"\r\n",
            ControlHost | Raw | Zmtp => b"",
        }
    }

    /// Returns the length and the place of the body of the message at the front of `bytes`.
    pub(crate) fn parse(self, bytes: &[u8]) -> Option<(usize, usize)> {
        match self {
            ControlHost | Raw => {
                let length = u32::from_be_bytes(bytes.get(8..12)?.try_into().ok()?);
                (bytes.len() >= 16).then_some((16 + length as usize, 16))
            }
            Nats => {
                let end = bytes.iter().position(|b| *b == b'\n')?;
                let line = std::str::from_utf8(&bytes[..end]).ok()?;
                let length: usize = line.trim().rsplit(' ').next()?.parse().ok()?;
                Some((end + 1 + length + 2, end + 1))
            }
            Redis => {
                // *3, $7, message, $n, tag, $length: the sixth line ends before the body.
                let mut ends = bytes.iter().enumerate().filter(|(_, b)| **b == b'\n');
                let start = ends.nth(4)?.0 + 1;
                let end = ends.next()?.0;
                let line = std::str::from_utf8(&bytes[start..end]).ok()?;
                let length: usize = line.trim().trim_start_matches('$').parse().ok()?;
                Some((end + 1 + length + 2, end + 1))
            }
            Zmtp => {
                let long = bytes.first()? & 2 != 0;
                let (length, head) = if long {
                    (u64::from_be_bytes(bytes.get(1..9)?.try_into().ok()?), 9)
                } else {
                    (u64::from(*bytes.get(1)?), 2)
                };
                let length = usize::try_from(length).ok()?;
                Some((head + length, head + 8))
            }
        }
    }

    /// Opens a producer's connection; what the broker says on it is to be read and forgotten.
    pub(crate) fn producer(self, port: u16) -> io::Result<TcpStream> {
        let mut stream = connect(port)?;
        match self {
            ControlHost | Redis => {}
            Raw => stream.write_all(b"P")?,
            Nats => nats_hello(&mut stream)?,
            Zmtp => zmtp_hello(&mut stream, "PUB")?,
        }
        Ok(stream)
    }

    /// Opens a subscriber's connection and waits until the broker knows it, where it says so.
    pub(crate) fn subscriber(self, port: u16, tags: &[&str]) -> io::Result<TcpStream> {
        let mut stream = connect(port)?;
        match self {
            Raw => stream.write_all(b"S")?,
            ControlHost => {
                let list: String = tags.iter().map(|tag| format!(" w {tag}")).collect();
                for (tag, body) in [
                    ("_Subscri", list.as_str()),
                    ("_Always", ""),
                    ("_WhereIs", "x"),
                ] {
                    stream.write_all(&self.publish(tag, body.as_bytes()))?;
                }
                stream.read_exact(&mut [0; 16])?;
            }
            Nats => {
                nats_hello(&mut stream)?;
                // Subscription numbers of one digit, as `delivered` takes them to be.
                for (number, tag) in (1..10).zip(tags) {
                    stream.write_all(format!("SUB {tag} {number}\r\n").as_bytes())?;
                }
                stream.write_all(b"PING\r\n")?;
                read_until(&mut stream, b"PONG\r\n")?;
            }
            Redis => {
                stream.write_all(format!("SUBSCRIBE {}\r\n", tags.join(" ")).as_bytes())?;
                read_until(&mut stream, format!(":{}\r\n", tags.len()).as_bytes())?;
            }
            Zmtp => {
                zmtp_hello(&mut stream, "SUB")?;
                for tag in tags {
                    let body = [&[1][..], &topic(tag)].concat();
                    stream.write_all(&[zmtp_head(0, body.len()), body].concat())?;
                }
            }
        }
        Ok(stream)
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn prefix(tag: &str, length: usize) -> Vec<u8> {
    let length = u32::try_from(length).expect("bodies are small here");
    [&topic(tag)[..], &length.to_be_bytes(), &[0; 4]].concat()
}

/// Returns the tag padded to eight bytes, so that none is the front of another.
fn topic(tag: &str) -> Vec<u8> {
    let mut topic = tag.as_bytes().to_vec();
    topic.resize(8, 0);
    topic
}

fn redis_message(tag: &str, body_len: usize) -> String {
    format!(
        "*3\r\n$7\r\nmessage\r\n${}\r\n{tag}\r\n${body_len}\r\n",
        tag.len()
    )
}

fn nats_hello(stream: &mut TcpStream) -> io::Result<()> {
    read_until(stream, b"}")?;
    read_until(stream, b"\n")?;
    stream.write_all(b"CONNECT {\"verbose\":false,\"pedantic\":false}\r\n")
}

fn zmtp_head(flags: u8, length: usize) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short) => vec![flags, short],
        Err(_) => [&[flags | 2][..], &(length as u64).to_be_bytes()].concat(),
    }
}

fn zmtp_hello(stream: &mut TcpStream, kind: &str) -> io::Result<()> {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    stream.write_all(&greeting)?;
    stream.read_exact(&mut greeting)?;
    let length = u32::try_from(kind.len()).expect("three letters");
    let name = b"\x05READY\x0bSocket-Type";
    let ready = [&name[..], &length.to_be_bytes(), kind.as_bytes()].concat();
    stream.write_all(&[zmtp_head(4, ready.len()), ready].concat())?;
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let mut theirs = vec![0; usize::from(head[1])];
    stream.read_exact(&mut theirs)
}

/// Reads byte by byte until the end of what was read is as given.
fn read_until(stream: &mut TcpStream, end: &[u8]) -> io::Result<()> {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(end) {
        stream.read_exact(&mut byte)?;
        read.push(byte[0]);
    }
    Ok(())
}

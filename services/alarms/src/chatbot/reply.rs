//! What the bot answers: lines as a block of code, cut to the size of messages.

/// Characters of one message; Rocket.Chat takes 5000.
const MESSAGE_CHARS_MAX: usize = 4000;
/// Messages of one answer; what is longer is cut.
const MESSAGES_MAX: usize = 4;

/// Returns the messages of a text of one or more lines. Several lines stand as they are, in a block
/// of code.
pub(crate) fn messages(user: &str, text: &str) -> Vec<String> {
    let is_short = text.lines().count() <= 1 && text.chars().count() <= MESSAGE_CHARS_MAX;
    if is_short {
        return vec![format!("@{user} {text}")];
    }
    let mut parts = vec![String::new()];
    let mut chars = 0;
    for line in text.lines() {
        // A fence in the text would end the block.
        let line = line.replace("```", "'''");
        for piece in pieces(&line) {
            let length = piece.chars().count() + 1;
            if chars + length > MESSAGE_CHARS_MAX {
                parts.push(String::new());
                chars = 0;
            }
            if let Some(part) = parts.last_mut() {
                part.push_str(&piece);
                part.push('\n');
            }
            chars += length;
        }
    }
    let left_out = parts.len().saturating_sub(MESSAGES_MAX);
    parts.truncate(MESSAGES_MAX);
    let mut messages: Vec<String> = parts
        .into_iter()
        .map(|part| format!("```\n{part}```"))
        .collect();
    if left_out > 0 {
        messages.push(format!("@{user} the rest is left out; ask for less"));
    }
    messages
}

/// Cuts a line that is longer than a message.
fn pieces(line: &str) -> Vec<String> {
    let chars: Vec<char> = line.chars().collect();
    if chars.is_empty() {
        return vec![String::new()];
    }
    let pieces = chars.chunks(MESSAGE_CHARS_MAX - 1);
    pieces.map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_is_said_and_more_are_shown() {
        assert_eq!(messages("anna", "done"), ["@anna done"]);
        assert_eq!(messages("anna", "a\nb"), ["```\na\nb\n```"]);
        assert_eq!(messages("anna", "a\n```b"), ["```\na\n'''b\n```"]);
    }

    #[test]
    fn long_answers_are_cut_into_messages_and_at_last_ended() {
        let line = "x".repeat(99);
        let text = vec![&*line; 100].join("\n");
        let parts = messages("anna", &text);
        assert_eq!(parts.len(), 3);
        assert!(parts.iter().all(|part| part.chars().count() <= 4100));
        let text = vec![&*line; 1000].join("\n");
        assert_eq!(messages("anna", &text).len(), MESSAGES_MAX + 1);
        assert_eq!(messages("anna", &"ü".repeat(9000)).len(), 3);
    }
}

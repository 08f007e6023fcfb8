//! What keys do.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::orders::{Order, Verb};
use super::state::{Mode, State};

/// Longest filter.
const FILTER_MAX: usize = 64;

/// Lines that a page key moves the log.
const PAGE: isize = 10;

/// What a key asks of the world outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Quit,
    Do(Order),
}

/// All keys for the help, with what they do.
pub(super) const KEYS: [(&str, &str); 13] = [
    ("up down  Home End", "choose a service or a group"),
    ("left right  Enter", "fold and unfold the group"),
    ("-  +", "fold and unfold all groups"),
    ("PgUp PgDn  f", "read back in the log, follow it again"),
    ("l", "the log alone, or the tree as well"),
    ("/", "show only names that contain a text; Esc shows all"),
    ("o", "order: tree, trouble, cpu, memory, rate, ..."),
    ("s", "start what is chosen"),
    ("t", "stop it"),
    ("r", "restart it"),
    (
        "h",
        "hold it (nothing is done about its health), release it",
    ),
    ("?", "this help"),
    ("q", "quit"),
];

impl State {
    /// Takes a key; returns what it asks of the world outside.
    pub(super) fn key(&mut self, key: KeyEvent) -> Option<Wish> {
        if key.kind == KeyEventKind::Release {
            return None;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        if control && matches!(key.code, KeyCode::Char('c' | 'd')) {
            return Some(Wish::Quit);
        }
        self.said = None;
        match std::mem::take(&mut self.mode) {
            Mode::Watch if !control => return self.watch(key.code),
            Mode::Watch => {}
            Mode::Filter => self.filter(key.code),
            Mode::Confirm(order) => match key.code {
                KeyCode::Char('y' | 'Y') => {
                    self.busy += 1;
                    return Some(Wish::Do(order));
                }
                // A slip of the finger neither confirms nor loses the question.
                KeyCode::Char('n' | 'N' | 'q') | KeyCode::Esc | KeyCode::Enter => {}
                _ => self.mode = Mode::Confirm(order),
            },
            // Any key ends the help.
            Mode::Help => {}
        }
        None
    }

    fn watch(&mut self, key: KeyCode) -> Option<Wish> {
        match key {
            KeyCode::Char('q') => return Some(Wish::Quit),
            KeyCode::Char('?') | KeyCode::F(1) => self.mode = Mode::Help,
            KeyCode::Up | KeyCode::Char('k') => self.step(-1),
            KeyCode::Down | KeyCode::Char('j') => self.step(1),
            KeyCode::Home | KeyCode::Char('g') => self.step(isize::MIN),
            KeyCode::End | KeyCode::Char('G') => self.step(isize::MAX),
            KeyCode::Left => self.fold(Some(true)),
            KeyCode::Right => self.fold(Some(false)),
            KeyCode::Enter | KeyCode::Char(' ') => self.fold(None),
            KeyCode::Char('-') => self.fold_all(true),
            KeyCode::Char('+' | '=') => self.fold_all(false),
            KeyCode::PageUp => self.log.scroll(PAGE),
            KeyCode::PageDown => self.log.scroll(-PAGE),
            KeyCode::Char('f') => self.log.follow(),
            KeyCode::Char('l') => self.log_only = !self.log_only,
            KeyCode::Char('o') => {
                self.order = self.order.next();
                self.settle();
            }
            KeyCode::Char('/') => self.mode = Mode::Filter,
            KeyCode::Esc => {
                self.filter.clear();
                self.settle();
            }
            KeyCode::Char('s') => self.ask(Verb::Start),
            KeyCode::Char('t') => self.ask(Verb::Stop),
            KeyCode::Char('r') => self.ask(Verb::Restart),
            KeyCode::Char('h') => self.ask(Verb::Hold),
            _ => {}
        }
        None
    }

    fn filter(&mut self, key: KeyCode) {
        match key {
            KeyCode::Enter => return,
            KeyCode::Esc => {
                self.filter.clear();
                return self.settle();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter) if self.filter.len() < FILTER_MAX => self.filter.push(letter),
            _ => {}
        }
        self.mode = Mode::Filter;
        self.settle();
    }
}

//! Writes answers: straight into one text, in the shape in which supervisord sends them.

use std::fmt::Write as _;

use super::fault::Fault;

/// A value as XML, or several, one after the other.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Xml(String);

impl Xml {
    /// Makes an empty text with room for so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(String::with_capacity(bytes))
    }

    /// Makes the value `true`.
    pub(super) fn yes() -> Self {
        let mut xml = Self::default();
        xml.boolean(true);
        xml
    }

    /// Makes a string.
    pub(super) fn of_text(text: &str) -> Self {
        let mut xml = Self::default();
        xml.string(text);
        xml
    }

    /// Makes an integer.
    pub(super) fn of_number(number: i64) -> Self {
        let mut xml = Self::default();
        xml.int(number);
        xml
    }

    /// Makes an array of strings.
    pub(super) fn of_texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut xml = Self::default();
        xml.array(|xml| texts.into_iter().for_each(|text| xml.string(text)));
        xml
    }

    /// Makes the struct of a fault.
    pub(super) fn of_fault(fault: &Fault) -> Self {
        let mut xml = Self::default();
        xml.structure(|xml| {
            xml.int_member("faultCode", fault.code.number());
            xml.string_member("faultString", &fault.to_string());
        });
        xml
    }

    /// Returns the number of bytes.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn string(&mut self, text: &str) {
        self.0.push_str("<value><string>");
        escape(&mut self.0, text);
        self.0.push_str("</string></value>\n");
    }

    /// Writes an integer; what a client's 32 bits cannot hold becomes the nearest that they can.
    pub(super) fn int(&mut self, number: i64) {
        let number = number.clamp(i32::MIN.into(), i32::MAX.into());
        // Writing to a string cannot fail.
        writeln!(self.0, "<value><int>{number}</int></value>").ok();
    }

    pub(super) fn boolean(&mut self, value: bool) {
        let digit = if value { '1' } else { '0' };
        self.0.push_str("<value><boolean>");
        self.0.push(digit);
        self.0.push_str("</boolean></value>\n");
    }

    pub(super) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.0.push_str("<value><array><data>\n");
        elements(self);
        self.0.push_str("</data></array></value>\n");
    }

    pub(super) fn structure(&mut self, members: impl FnOnce(&mut Self)) {
        self.0.push_str("<value><struct>\n");
        members(self);
        self.0.push_str("</struct></value>\n");
    }

    pub(super) fn string_member(&mut self, name: &str, text: &str) {
        self.member(name, |xml| xml.string(text));
    }

    pub(super) fn int_member(&mut self, name: &str, number: i64) {
        self.member(name, |xml| xml.int(number));
    }

    pub(super) fn boolean_member(&mut self, name: &str, value: bool) {
        self.member(name, |xml| xml.boolean(value));
    }

    /// Writes a member; its name is one of ours and needs no escaping.
    pub(super) fn member(&mut self, name: &str, value: impl FnOnce(&mut Self)) {
        self.0.push_str("<member>\n<name>");
        self.0.push_str(name);
        self.0.push_str("</name>\n");
        value(self);
        self.0.push_str("</member>\n");
    }

    /// Appends values that are written already.
    pub(super) fn append(&mut self, values: &Self) {
        self.0.push_str(&values.0);
    }

    /// Makes the whole answer to a call.
    pub(super) fn response(answer: &Result<Self, Fault>) -> String {
        const HEAD: &str = "<?xml version='1.0'?>\n<methodResponse>\n";
        const TAIL: &str = "</methodResponse>\n";
        let (open, value, close) = match answer {
            Ok(value) => ("<params>\n<param>\n", value, "</param>\n</params>\n"),
            Err(fault) => ("<fault>\n", &Self::of_fault(fault), "</fault>\n"),
        };
        [HEAD, open, &value.0, close, TAIL].concat()
    }
}

/// Appends text so that every parser gives it back; characters that XML cannot carry become `?`.
fn escape(to: &mut String, text: &str) {
    let mut clean = 0;
    for (at, found) in text.char_indices() {
        let instead = match found {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            // A bare one would be read as a line feed.
            '\r' => "&#13;",
            '\t' | '\n' => continue,
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => "?",
            _ => continue,
        };
        to.push_str(text.get(clean..at).unwrap_or_default());
        to.push_str(instead);
        clean = at + found.len_utf8();
    }
    to.push_str(text.get(clean..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::super::fault::Code;
    use super::*;

    #[test]
    fn a_fault_looks_as_supervisord_sends_it() {
        let expected = "<?xml version='1.0'?>\n<methodResponse>\n<fault>\n<value><struct>\n<member>\n\
                        <name>faultCode</name>\n<value><int>10</int></value>\n</member>\n<member>\n\
                        <name>faultString</name>\n<value><string>BAD_NAME: nosuch</string></value>\n\
                        </member>\n</struct></value>\n</fault>\n</methodResponse>\n";
        let fault = Code::BadName.about("nosuch");
        assert_eq!(Xml::response(&Err(fault)), expected);
    }

    #[test]
    fn an_array_in_an_array_looks_as_supervisord_sends_it() {
        let mut xml = Xml::default();
        xml.array(|xml| {
            xml.array(|xml| xml.append(&Xml::of_texts(["added"])));
        });
        let expected = "<value><array><data>\n<value><array><data>\n<value><array><data>\n\
                        <value><string>added</string></value>\n</data></array></value>\n\
                        </data></array></value>\n</data></array></value>\n";
        assert_eq!(xml.0, expected);
    }

    #[test]
    fn text_that_xml_cannot_carry_is_replaced_and_the_rest_kept() {
        let text = "a\u{1b}[1m<b> & \u{e9}\t\r\n\0\u{ffff}end";
        let mut escaped = String::new();
        escape(&mut escaped, text);
        assert_eq!(escaped, "a?[1m&lt;b&gt; &amp; \u{e9}\t&#13;\n??end");
    }

    #[test]
    fn numbers_stay_within_32_bits() {
        assert_eq!(
            Xml::of_number(4_102_444_800).0,
            "<value><int>2147483647</int></value>\n"
        );
    }
}

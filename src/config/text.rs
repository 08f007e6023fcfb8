//! Options back to TOML, for a child of our own binary.

use toml::Value;
use toml::de::{DeTable, DeValue};

/// Writes a table as TOML.
pub(crate) fn to_text(table: &DeTable<'_>) -> String {
    let table = plain_table(table);
    // A table of plain values has a TOML form for every value in it.
    toml::to_string(&table).unwrap_or_default()
}

fn plain_table(table: &DeTable<'_>) -> toml::Table {
    table
        .iter()
        .map(|(key, value)| (key.get_ref().to_string(), plain_value(value.get_ref())))
        .collect()
}

fn plain_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::String(number.to_string()), Value::Integer),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or_else(|_| Value::String(number.to_string()), Value::Float),
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Datetime(time) => Value::Datetime(*time),
        DeValue::Array(list) => Value::Array(
            list.iter()
                .map(|item| plain_value(item.get_ref()))
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(plain_table(table)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_survive_the_way_to_a_child() {
        let text =
            "flag = true\nlist = [1, 0x10]\nname = \"x\"\nrate = 2.5\n\n[inner]\ndepth = 3\n";
        let table = DeTable::parse(text).unwrap();
        let expected = text.replace("0x10", "16");
        assert_eq!(to_text(table.get_ref()), expected);
    }
}

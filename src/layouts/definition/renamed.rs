//! Words of the format that were renamed, refused with the word that is used now.

use toml::{Table, Value};

/// The tables of a definition that hold questions.
const STATES: [&str; 4] = ["scheduled", "waiting", "in_flight", "orphaned"];
/// What `collection` said when it was the type of a collection and not its key.
const TYPES: [&str; 4] = ["set", "list", "sorted-set", "hash"];

/// Every renamed word in a definition, as one message to its author; `None` if there is none.
///
/// It looks at the text before the format does. To the format an old definition lacks a key, or has
/// one that is unknown, and neither message would name the new word.
pub(in crate::layouts) fn renamed(definition: &Table) -> Option<String> {
    let mut told = Vec::new();
    for state in STATES {
        let mut of_state = Vec::new();
        definition.get(state).into_iter().for_each(|value| in_questions(value, &mut of_state));
        let first_of = |(place, message): &(usize, &String)| !of_state[..*place].contains(message);
        let once = of_state.iter().enumerate().filter(first_of);
        told.extend(once.map(|(_, message)| format!("[[{state}]]: {message}")));
    }
    (!told.is_empty()).then(|| told.join("; "))
}

/// A question, or a list of them.
fn in_questions(value: &Value, told: &mut Vec<String>) {
    if let Some(list) = value.as_array() {
        list.iter().for_each(|question| in_questions(question, told));
    } else if let Some(question) = value.as_table() {
        in_question(question, told);
        let parts = ["minus", "or"].into_iter().filter_map(|part| question.get(part));
        parts.for_each(|part| in_questions(part, told));
    }
}

fn in_question(question: &Table, told: &mut Vec<String>) {
    let text = |key: &str| question.get(key).and_then(Value::as_str);
    match text("read") {
        Some("heard") => {
            told.push("`read = \"heard\"` is now `read = \"heartbeats\"`".to_owned());
        }
        Some("each") => {
            told.extend(collection(question.get("of"), text("collection")));
            if question.contains_key("beyond") {
                told.push("`beyond` is now called `overflow`".to_owned());
            }
        }
        Some(_) | None => {}
    }
    if question.get("roll").and_then(|roll| roll.get("of")).is_some() {
        told.push("`of` in `roll` is now called `collection`".to_owned());
    }
}

/// `collection` has changed its meaning, so whoever still gives it a type is told both words.
fn collection(of: Option<&Value>, collection: Option<&str>) -> Option<String> {
    of?;
    Some(match collection.filter(|word| TYPES.contains(word)) {
        Some(word) => format!(
            "`of` is now called `collection`, and `collection = \"{word}\"` is now `type = \"{word}\"`"
        ),
        None => "`of` is now called `collection`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use crate::layouts::Layout;

    const HEAD: &str = "doc = 'x'\n[params.of]\ntype = 'keys'\ndoc = 'd'\nexample = 'e'\n\
         [params.beyond]\ntype = 'name'\ndoc = 'd'\nexample = 'e'\n\
         [[waiting]]\nread = 'size'\nkey = '{of}'\n";
    const ASK: &str = "ask = { exists = 'r:{member}' }\n";

    fn told(in_flight: &str) -> String {
        let parsed = Layout::parse("acme", &format!("{HEAD}[[in_flight]]\n{in_flight}"));
        parsed.map_or_else(|error| error.to_string(), |_| "fine".to_owned())
    }

    #[test]
    fn parameters_may_have_the_old_words_for_names() {
        assert_eq!(told("read = 'size'\nkey = '{of}{beyond}'"), "fine");
    }

    #[test]
    fn beyond_is_told_to_be_overflow() {
        let given =
            format!("read = 'each'\ncollection = 'c'\ntype = 'set'\nbeyond = 'skip'\n{ASK}");
        assert_eq!(told(&given), "layout `acme`: [[in_flight]]: `beyond` is now called `overflow`");
    }

    #[test]
    fn heard_is_told_to_be_heartbeats() {
        let wanted =
            "layout `acme`: [[in_flight]]: `read = \"heard\"` is now `read = \"heartbeats\"`";
        assert_eq!(told("read = 'heard'\nalive = ['up']"), wanted);
    }

    #[test]
    fn of_is_told_to_be_collection() {
        for rest in ["type = 'set'\n", ""] {
            let given = format!("read = 'each'\nof = 'robots'\n{rest}{ASK}");
            let wanted = "layout `acme`: [[in_flight]]: `of` is now called `collection`";
            assert_eq!(told(&given), wanted, "{rest}");
        }
    }

    #[test]
    fn a_type_beside_of_is_told_both_words() {
        for word in ["set", "list", "sorted-set", "hash"] {
            let given = format!("read = 'each'\nof = 'robots'\ncollection = '{word}'\n{ASK}");
            let wanted = format!(
                "layout `acme`: [[in_flight]]: `of` is now called `collection`, and \
                 `collection = \"{word}\"` is now `type = \"{word}\"`"
            );
            assert_eq!(told(&given), wanted);
        }
    }

    #[test]
    fn of_in_a_roll_is_told_to_be_collection() {
        let given = "read = 'heartbeats'\nroll = { of = 'workers', name = 'w:{member}' }";
        let wanted = "layout `acme`: [[in_flight]]: `of` in `roll` is now called `collection`";
        assert_eq!(told(given), wanted);
    }

    #[test]
    fn what_is_within_another_question_is_told_too() {
        let old =
            "{ read = 'each', of = 'o', collection = 'list', beyond = 'count', ask = 'field' }";
        let told = told(&format!(
            "read = 'size'\nkey = 'k'\nminus = {old}\n[[orphaned]]\nread = 'heard'\nor = [{old}]"
        ));
        assert_eq!(told.matches("`beyond` is now called `overflow`").count(), 2, "{told}");
        assert_eq!(told.matches("is now `type = \"list\"`").count(), 2, "{told}");
        assert!(told.contains("[[orphaned]]: `read = \"heard\"`"), "{told}");
    }

    #[test]
    fn a_word_that_stands_many_times_is_told_once() {
        let old = format!("read = 'each'\ncollection = 'c'\ntype = 'set'\nbeyond = 'skip'\n{ASK}");
        let told = told(&format!("{old}[[in_flight]]\n{old}"));
        assert_eq!(told, "layout `acme`: [[in_flight]]: `beyond` is now called `overflow`");
    }

    #[test]
    fn a_definition_in_the_new_words_is_taken_where_the_collection_is_named_like_a_type() {
        let given = format!("read = 'each'\ncollection = 'list'\ntype = 'set'\n{ASK}");
        assert_eq!(told(&given), "fine");
    }
}

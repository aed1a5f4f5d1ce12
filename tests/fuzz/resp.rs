//! A second reader of Redis's protocol, plain and slow, that shares nothing with the client library.

/// The deepest nesting that is read.
const DEPTH: usize = 90;

/// One reply, as far as the targets look at it.
#[derive(Debug, Clone, PartialEq)]
pub enum Resp {
    Nil,
    Int(i64),
    /// A string of any kind.
    Text(Vec<u8>),
    Error(String),
    Truth(bool),
    /// An array or a set.
    List(Vec<Resp>),
    Map(Vec<(Resp, Resp)>),
    Push(Vec<Resp>),
    /// A double, a big number, `OK`, or something with attributes.
    Other,
}

impl Resp {
    pub fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(all) => Some(all),
            _ => None,
        }
    }

    /// A number of members.
    pub fn length(&self) -> Option<u64> {
        match self {
            Self::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// The fields of a map, or of a list of names and values in turn.
    pub fn field(&self, name: &str) -> Option<&Self> {
        let is_it = |key: &Self| key.text() == Some(name.as_bytes());
        match self {
            Self::Map(pairs) => pairs.iter().find(|(key, _)| is_it(key)).map(|(_, value)| value),
            Self::List(all) if all.len().is_multiple_of(2) => {
                all.chunks(2).find(|pair| is_it(&pair[0])).map(|pair| &pair[1])
            }
            _ => None,
        }
    }
}

/// Every whole reply at the start of these bytes; what Redis says unasked is left out.
pub fn replies(mut said: &[u8]) -> Vec<Resp> {
    let mut replies = Vec::new();
    while let Some(reply) = one(&mut said, 0) {
        if !matches!(reply, Resp::Push(_)) {
            replies.push(reply);
        }
    }
    replies
}

/// The first reply.
pub fn first(mut said: &[u8]) -> Option<Resp> {
    one(&mut said, 0)
}

fn one(said: &mut &[u8], depth: usize) -> Option<Resp> {
    if depth > DEPTH {
        return None;
    }
    let (kind, rest) = said.split_first()?;
    let end = rest.windows(2).position(|two| two == b"\r\n")?;
    let line = std::str::from_utf8(&rest[..end]).ok();
    let mut after = &rest[end + 2..];
    let number = || line?.trim().parse::<i64>().ok();
    // There is no map of less than none, as there is a list.
    let pairs = || number()?.checked_mul(2).filter(|members| *members >= 0);
    let mut many = |times: i64| -> Option<Vec<Resp>> {
        let mut all = Vec::new();
        for _ in 0..times {
            all.push(one(&mut after, depth + 1)?);
        }
        Some(all)
    };
    let reply = match kind {
        b'+' if line == Some("OK") => Resp::Other, // a word of its own to the library, and no text
        b'+' => Resp::Text(line?.as_bytes().to_vec()),
        b'-' => Resp::Error(line?.to_owned()),
        b':' => Resp::Int(number()?),
        b'_' => line.map(|_| Resp::Nil)?,
        b'#' => Resp::Truth(match line? {
            "t" => true,
            "f" => false,
            _ => return None,
        }),
        b'$' | b'=' | b'!' => match usize::try_from(number()?) {
            Err(_) if *kind == b'$' => Resp::Nil,
            length => {
                let (bytes, others) = after.split_at_checked(length.ok()?)?;
                after = others.strip_prefix(b"\r\n")?;
                let text = || String::from_utf8_lossy(bytes).into_owned();
                match kind {
                    b'$' => Resp::Text(bytes.to_vec()),
                    b'!' => Resp::Error(text()),
                    _ => Resp::Text(text().split_once(':')?.1.as_bytes().to_vec()),
                }
            }
        },
        b'*' | b'~' => match number()? {
            ..0 => Resp::Nil,
            times => Resp::List(many(times)?),
        },
        b'>' => {
            let all = many(number()?)?;
            // The kind is a plain string, or it is no push.
            let form = rest[end + 2..].first();
            let is_kind = |first: &Resp| match (form, first.text()) {
                (Some(b'+'), Some(_)) => true,
                (Some(b'$'), Some(text)) => std::str::from_utf8(text).is_ok(),
                _ => false,
            };
            if !all.first().is_none_or(is_kind) {
                return None;
            }
            Resp::Push(all)
        }
        b'%' => {
            let all = many(pairs()?)?;
            Resp::Map(all.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect())
        }
        b'|' => many(pairs()?.checked_add(1)?).map(|_| Resp::Other)?,
        b',' => line?.trim().parse::<f64>().ok().map(|_| Resp::Other)?,
        b'(' => line.map(|_| Resp::Other)?,
        _ => return None,
    };
    *said = after;
    Some(reply)
}

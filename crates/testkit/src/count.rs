//! What Redis itself says that a key holds, counted by one script of the tests' own, which shares no
//! code with the service.

use deadpool_redis::redis::{self, Cmd};

/// How what a key holds is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    List,
    Set,
    Sorted,
    Hash,
    Number,
    Stream,
    /// The members of a sorted set whose time has come.
    Due,
    /// What the group `g` of a stream was not given yet.
    Lag,
    /// What it was given and has not acknowledged.
    Pending,
}

/// A key and how it is counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub key: String,
    pub how: How,
}

/// The script that counts every part at one moment.
pub fn count(parts: &[Part]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(COUNT).arg(parts.len());
    for part in parts {
        command.arg(&part.key);
    }
    for part in parts {
        command.arg(format!("{:?}", part.how));
    }
    command
}

const COUNT: &str = r"
local command = {List = 'LLEN', Set = 'SCARD', Sorted = 'ZCARD', Hash = 'HLEN', Stream = 'XLEN'}
local function group(key)
    if redis.call('EXISTS', key) == 0 then return {lag = 0, pending = 0} end
    local rows = redis.call('XINFO', 'GROUPS', key)
    if #rows == 0 then return {lag = redis.call('XLEN', key), pending = 0} end
    local fields = {}
    for i = 1, #rows[1], 2 do fields[rows[1][i]] = rows[1][i + 1] end
    -- Redis's own lag is wrong after trimming.
    fields.lag = #redis.call('XRANGE', key, '(' .. fields['last-delivered-id'], '+')
    return fields
end
local function count(key, how)
    if how == 'Number' then return redis.call('GET', key) or 0 end
    if how == 'Lag' then return group(key).lag end
    if how == 'Pending' then return group(key).pending end
    if how == 'Due' then
        local now = redis.call('TIME')
        local until_when = string.format('%d.%06d', now[1] + 1, now[2])
        return redis.call('ZCOUNT', key, '-inf', until_when)
    end
    return redis.call(command[how], key)
end
local counts = {}
for i, key in ipairs(KEYS) do counts[i] = tostring(count(key, ARGV[i])) end
return counts
";

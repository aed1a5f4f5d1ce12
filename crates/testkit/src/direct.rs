//! A test's own way to the server, past any proxy: it waits for a server that hangs, and comes back
//! when its connection is killed.

use deadpool_redis::redis::{
    self, AsyncConnectionConfig, Client, Cmd, Pipeline, RedisError, RedisResult, Value,
    aio::MultiplexedConnection,
};
use tokio::time::{Instant, sleep};

use crate::{PATIENCE, STEP, Server};

/// A connection that is made again whenever it breaks.
pub struct Direct {
    client: Client,
    link: Option<MultiplexedConnection>,
}

impl Direct {
    pub fn to(server: &Server) -> Self {
        Self { client: Client::open(server.url()).unwrap(), link: None }
    }

    /// One attempt. A server that hangs is waited for as long as it takes.
    async fn attempt(&mut self, commands: &Pipeline) -> RedisResult<Vec<RedisResult<Value>>> {
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_connection_timeout(Some(PATIENCE));
        let link = match &mut self.link {
            Some(link) => link,
            none => none
                .insert(self.client.get_multiplexed_async_connection_with_config(&config).await?),
        };
        let replies = commands.query_async(link).await;
        if replies.is_err() {
            self.link = None;
        }
        replies
    }

    /// Runs commands once. Whether they were done is not known when the connection broke; a refusal
    /// of a single one is of no interest.
    pub async fn try_once(&mut self, commands: &Pipeline) {
        drop(self.attempt(commands).await);
    }

    /// Runs commands, again and again until the server takes all of them.
    pub async fn insist(&mut self, commands: &Pipeline) -> Vec<Value> {
        let start = Instant::now();
        loop {
            let replies = self.attempt(commands).await;
            let all: Result<Vec<Value>, RedisError> =
                replies.and_then(|replies| replies.into_iter().collect());
            match all {
                Ok(values) => return values,
                Err(error) => assert!(start.elapsed() < PATIENCE, "{error}"),
            }
            sleep(STEP).await;
        }
    }
}

/// Commands that go together; one that is refused leaves the others alone.
pub fn pipeline(commands: impl IntoIterator<Item = Cmd>) -> Pipeline {
    let mut pipeline = redis::pipe();
    pipeline.ignore_errors();
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}

/// A command of the words in a line.
pub fn line(words: &str) -> Cmd {
    let mut command = Cmd::new();
    for word in words.split_whitespace() {
        command.arg(word);
    }
    command
}

// Tasks of asynq on the queue q: add COUNT DELAY, counts, pause, resume, work, or moves COUNT SECONDS [adds].
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const queue = "q"

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		log.Fatal(err)
	}
}

func run(role string, words []string) error {
	address := "127.0.0.1:" + os.Getenv("TEST_PORT")
	redisOf := asynq.RedisClientOpt{Addr: address}
	inspector := asynq.NewInspector(redisOf)
	defer inspector.Close()
	switch role {
	case "add":
		return add(asynq.NewClient(redisOf), words)
	case "counts":
		info, err := inspector.GetQueueInfo(queue)
		if err != nil {
			return err
		}
		counts := map[string]int{"pending": info.Pending, "scheduled": info.Scheduled, "active": info.Active}
		return json.NewEncoder(os.Stdout).Encode(counts)
	case "pause":
		return inspector.PauseQueue(queue)
	case "resume":
		return inspector.UnpauseQueue(queue)
	case "work":
		return work(redisOf, redis.NewClient(&redis.Options{Addr: address}))
	case "moves":
		return moves(redisOf, redis.NewClient(&redis.Options{Addr: address}), words)
	}
	return fmt.Errorf("no role %q", role)
}

func add(client *asynq.Client, words []string) error {
	defer client.Close()
	count, err := strconv.Atoi(words[0])
	if err != nil {
		return err
	}
	delay, err := time.ParseDuration(words[1])
	if err != nil {
		return err
	}
	for number := 0; number < count; number++ {
		task := asynq.NewTask("hold", []byte(fmt.Sprintf("job-%d", number)))
		if _, err := client.Enqueue(task, asynq.Queue(queue), asynq.ProcessIn(delay)); err != nil {
			return err
		}
	}
	return nil
}

// Every task says that it began, waits until the test lets tasks end, and says that it ended.
func work(redisOf asynq.RedisClientOpt, book *redis.Client) error {
	server := asynq.NewServer(redisOf, asynq.Config{
		Concurrency:              2,
		Queues:                   map[string]int{queue: 1},
		DelayedTaskCheckInterval: 200 * time.Millisecond,
		ShutdownTimeout:          time.Second,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return time.Millisecond },
	})
	hold := func(ctx context.Context, task *asynq.Task) error {
		book.RPush(ctx, "test:began", task.Payload())
		for book.Exists(ctx, "test:release").Val() == 0 {
			time.Sleep(50 * time.Millisecond)
		}
		return book.RPush(ctx, "test:ended", task.Payload()).Err()
	}
	return server.Run(asynq.HandlerFunc(hold))
}

// Tasks of asynq on the queue q: add COUNT DELAY, counts, pause, resume, work, or moves COUNT SECONDS [adds].
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
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

// Every task says that it began, waits until the test lets tasks end, and says that it ended. With TEST_NAP a task waits
// for nobody and takes that long, in ms, and up to three times as long, by its number.
func work(redisOf asynq.RedisClientOpt, book *redis.Client) error {
	server := asynq.NewServer(redisOf, asynq.Config{
		Concurrency:              2,
		Queues:                   map[string]int{queue: 1},
		DelayedTaskCheckInterval: 200 * time.Millisecond,
		ShutdownTimeout:          time.Second,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return time.Millisecond },
	})
	milliseconds, _ := strconv.Atoi(os.Getenv("TEST_NAP"))
	nap := time.Duration(milliseconds) * time.Millisecond
	hold := func(ctx context.Context, task *asynq.Task) error {
		book.RPush(ctx, "test:began", task.Payload())
		if nap > 0 {
			time.Sleep(nap + time.Duration(number(task)%5)*nap/2)
		} else {
			for book.Exists(ctx, "test:release").Val() == 0 {
				time.Sleep(50 * time.Millisecond)
			}
		}
		return book.RPush(ctx, "test:ended", task.Payload()).Err()
	}
	return server.Run(asynq.HandlerFunc(hold))
}

func number(task *asynq.Task) int {
	_, digits, _ := strings.Cut(string(task.Payload()), "-")
	number, _ := strconv.Atoi(digits)
	return number
}

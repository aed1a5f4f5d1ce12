package main

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	pace     = 2 * time.Millisecond
	changing = 1500 * time.Millisecond
	between  = 25 * time.Millisecond
)

// What becomes of a task that is moved, and the ledger of it, as in node/moving.js.
type moving struct {
	sync.Mutex
	adds                        bool
	during                      time.Duration
	start, next, changed        time.Time
	entered, left, taken, moves int
	client                      *asynq.Client
	book                        *redis.Client
}

func (m *moving) add(ctx context.Context) error {
	if _, err := m.client.Enqueue(asynq.NewTask("move", nil), asynq.Queue(queue), asynq.MaxRetry(1e6)); err != nil {
		return err
	}
	m.entered++
	return m.book.Incr(ctx, "test:entered").Err()
}

var errOnceMore = errors.New("once more")

func (m *moving) ProcessTask(ctx context.Context, _ *asynq.Task) error {
	m.Lock()
	defer m.Unlock()
	m.taken++
	m.next = m.next.Add(pace)
	if late := time.Now().Add(-10 * pace); m.next.Before(late) {
		m.next = late
	}
	time.Sleep(time.Until(m.next))
	since := time.Since(m.start) - m.during
	if since < 0 {
		return errOnceMore
	}
	if m.moves == 0 {
		// Taken, put off, and put back.
		m.moves = 3 * m.taken
	}
	if since < changing {
		if time.Since(m.changed) < between || m.entered-m.left < 2 {
			return errOnceMore
		}
		m.changed = time.Now()
		if m.adds {
			if err := m.add(ctx); err != nil {
				return err
			}
		}
	}
	m.left++
	return m.book.Incr(ctx, "test:leaving").Err()
}

func (m *moving) isOver() bool {
	m.Lock()
	defer m.Unlock()
	return m.left == m.entered
}

// Tasks that asynq's own server takes, puts off and forwards, since each fails and is to be tried again at once.
func moves(redisOf asynq.RedisClientOpt, book *redis.Client, words []string) error {
	count, err := strconv.Atoi(words[0])
	if err != nil {
		return err
	}
	seconds, err := strconv.Atoi(words[1])
	if err != nil {
		return err
	}
	during := time.Duration(seconds) * time.Second
	m := &moving{adds: len(words) > 2, during: during, client: asynq.NewClient(redisOf), book: book}
	ctx := context.Background()
	for number := 0; number < count; number++ {
		if err := m.add(ctx); err != nil {
			return err
		}
	}
	for book.Exists(ctx, "test:release").Val() == 0 {
		time.Sleep(20 * time.Millisecond)
	}
	m.start = time.Now()
	server := asynq.NewServer(redisOf, asynq.Config{
		Concurrency:              4,
		Queues:                   map[string]int{queue: 1},
		TaskCheckInterval:        time.Millisecond,
		DelayedTaskCheckInterval: 2 * time.Millisecond,
		RetryDelayFunc:           func(int, error, *asynq.Task) time.Duration { return 0 },
		LogLevel:                 asynq.FatalLevel,
	})
	if err := server.Start(m); err != nil {
		return err
	}
	for !m.isOver() {
		time.Sleep(20 * time.Millisecond)
	}
	server.Shutdown()
	return book.Set(ctx, "test:moves", m.moves/seconds, 0).Err()
}

package resp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
)

const (
	readBufferBytes = 64 << 10
	// MaxIdleScratch is the size of a scratch buffer that is kept: one long
	// message must not hold its memory for good.
	MaxIdleScratch = 64 << 10
	// maxPushParts and maxPushName bound the parts of a push that are not the
	// payload.
	maxPushParts = 4
	maxPushName  = 64 << 10
)

var errNoLineEnd = errors.New("resp: a reply without the end of its line")

// Kind is the kind of a push.
type Kind uint8

// The kinds.
const (
	Message Kind = iota + 1
	Subscribed
	Unsubscribed
	Pong
	TooLarge // a message whose payload was skipped
)

// Push is one item that a server sends on a subscribed connection.
type Push struct {
	Kind    Kind
	Channel string
	Payload string
	Size    int // of a payload that was skipped
}

// Reader reads a subscribed connection, in RESP2. It replaces the reader of
// go-redis, which allocates as many bytes as a length promises, and several
// objects for each message. Here memory grows with received bytes only, and a
// payload above the limit is skipped. Only one goroutine may use it.
type Reader struct {
	from    *bufio.Reader
	limit   int // of a payload, in bytes
	scratch []byte
}

// NewReader returns a reader that skips payloads of more than limit bytes.
func NewReader(from io.Reader, limit int) *Reader {
	return &Reader{from: bufio.NewReaderSize(from, readBufferBytes), limit: limit}
}

// Read waits for the next push. Its strings are the caller's. An error that the
// server has sent is an Error; after any other the connection is of no further
// use.
func (r *Reader) Read() (Push, error) {
	// A ping before the first subscription has a simple answer, and an error is
	// one, too.
	first, err := r.from.Peek(1)
	if err != nil {
		return Push{}, err
	}
	switch first[0] {
	case '+':
		_, err := r.line()
		return Push{Kind: Pong}, err
	case '-':
		line, err := r.line()
		if err == nil {
			err = Error(bytes.TrimPrefix(line, []byte("-")))
		}
		return Push{}, err
	}
	count, err := r.header('*')
	if err != nil {
		return Push{}, err
	}
	if count < 2 || count > maxPushParts {
		return Push{}, fmt.Errorf("resp: a push of %d parts", count)
	}
	defer r.shrink()
	r.scratch = r.scratch[:0]
	if _, err := r.bulk(maxPushName); err != nil {
		return Push{}, err
	}
	kind := kindOf(r.scratch)
	r.scratch = r.scratch[:0]
	switch kind {
	case Message:
		return r.message()
	case Subscribed, Unsubscribed:
		return r.confirmation(kind)
	case Pong:
		_, err := r.bulk(maxPushName)
		return Push{Kind: Pong}, err
	}
	return Push{}, errors.New("resp: a push of an unknown kind")
}

func kindOf(name []byte) Kind {
	switch string(name) {
	case "message":
		return Message
	case "subscribe":
		return Subscribed
	case "unsubscribe":
		return Unsubscribed
	case "pong":
		return Pong
	}
	return 0
}

// message reads the channel and the payload into one piece of memory.
func (r *Reader) message() (Push, error) {
	if _, err := r.bulk(maxPushName); err != nil {
		return Push{}, err
	}
	name := len(r.scratch)
	skipped, err := r.bulk(r.limit)
	if err != nil {
		return Push{}, err
	}
	both := string(r.scratch)
	if skipped > 0 {
		return Push{Kind: TooLarge, Channel: both, Size: skipped}, nil
	}
	return Push{Kind: Message, Channel: both[:name], Payload: both[name:]}, nil
}

func (r *Reader) confirmation(kind Kind) (Push, error) {
	if _, err := r.bulk(maxPushName); err != nil {
		return Push{}, err
	}
	_, err := r.header(':')
	return Push{Kind: kind, Channel: string(r.scratch)}, err
}

// bulk appends a bulk string to scratch. It skips one that is longer than limit
// and returns its length; otherwise skipped is 0.
func (r *Reader) bulk(limit int) (skipped int, err error) {
	length, err := r.header('$')
	if err != nil {
		return 0, err
	}
	if length < 0 {
		return 0, nil // null, where there is no channel
	}
	if length > limit {
		if err := r.skip(length); err != nil {
			return 0, err
		}
		return length, r.lineEnd()
	}
	for length > 0 {
		step := min(length, readBufferBytes)
		start := len(r.scratch)
		r.scratch = slices.Grow(r.scratch, step)[:start+step]
		if _, err := io.ReadFull(r.from, r.scratch[start:]); err != nil {
			return 0, err
		}
		length -= step
	}
	return 0, r.lineEnd()
}

func (r *Reader) skip(length int) error {
	_, err := r.from.Discard(length)
	return err
}

func (r *Reader) lineEnd() error {
	var end [2]byte
	for i := range end {
		c, err := r.from.ReadByte()
		if err != nil {
			return err
		}
		end[i] = c
	}
	if end != [2]byte{'\r', '\n'} {
		return errNoLineEnd
	}
	return nil
}

// header reads a line that consists of a type and a number.
func (r *Reader) header(kind byte) (int, error) {
	line, err := r.line()
	if err != nil {
		return 0, err
	}
	if len(line) == 0 || line[0] != kind {
		return 0, fmt.Errorf("resp: unexpected reply %.100q", line)
	}
	number, err := strconv.Atoi(string(line[1:]))
	if err != nil {
		return 0, fmt.Errorf("resp: unexpected reply %.100q", line)
	}
	return number, nil
}

// line reads a line, without its end. It is valid until the next read.
func (r *Reader) line() ([]byte, error) {
	line, err := r.from.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return nil, errNoLineEnd
	}
	if err != nil {
		return nil, err
	}
	return line[:max(0, len(line)-2)], nil
}

func (r *Reader) shrink() {
	if cap(r.scratch) > MaxIdleScratch {
		r.scratch = nil
	}
}

// ScratchBytes is the memory that is kept for the next message.
func (r *Reader) ScratchBytes() int { return cap(r.scratch) }

// Error is an error that the server has sent. It implements redis.Error.
type Error string

func (e Error) Error() string { return string(e) }

// RedisError implements redis.Error.
func (e Error) RedisError() {}

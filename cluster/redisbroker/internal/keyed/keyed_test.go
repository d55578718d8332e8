package keyed_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/stoa-io/stoa/cluster"
	"github.com/stoa-io/stoa/cluster/redisbroker/internal/keyed"
	"github.com/stoa-io/stoa/internal/redistest"
)

const hash, order, id = "hash", "order", "id"

// store is a server with one channel.
type store struct {
	testing.TB
	client    *redis.Client
	retention cluster.Retention
}

func newStore(t testing.TB) *store {
	options, err := redis.ParseURL(redistest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return &store{t, client, cluster.Retention{Messages: 1, Age: time.Hour, Bytes: 1000, Keys: 10}}
}

// put stores "key=value" as message number of an incarnation.
func (s *store) put(incarnation, number uint64, text string, again bool, once ...any) (stored bool) {
	s.Helper()
	key, _, _ := strings.Cut(text, "=")
	m := keyed.Message{Key: key, Size: len(text), Position: cluster.Position{Incarnation: incarnation, Number: number}}
	keys := []string{hash, order}
	args := m.Arguments(nil, text, again, &s.retention, false, (2 * time.Hour).Milliseconds())
	if len(once) > 0 {
		keys, args = append(keys, id), append(args, once...)
	}
	count, err := s.client.Eval(s.Context(), keyed.Script, keys, args...).Int()
	if err != nil {
		s.Fatal(err)
	}
	return count > 0
}

func (s *store) values() []keyed.Value {
	s.Helper()
	fields, err := s.client.HGetAll(s.Context(), hash).Result()
	if err != nil {
		s.Fatal(err)
	}
	values, malformed := keyed.Values(fields)
	if malformed > 0 {
		s.Errorf("%d values cannot be read", malformed)
	}
	return values
}

// want checks the messages, the oldest first, and that all that is stored fits
// together.
func (s *store) want(want ...string) {
	s.Helper()
	var got, fields []string
	size := 0
	last := time.Now().Add(time.Hour)
	for _, v := range s.values() {
		got, fields = append(got, v.Data), append(fields, v.Field())
		size += len(v.Data)
		if !v.Time.Before(last) {
			s.Errorf("the time %v of %q is not before %v", v.Time, v.Data, last)
		}
		last = v.Time
	}
	slices.Reverse(got)
	slices.Reverse(fields)
	if !slices.Equal(got, want) {
		s.Errorf("%q is stored, want %q", got, want)
	}
	if ordered := s.client.ZRange(s.Context(), order, 0, -1).Val(); !slices.Equal(ordered, fields) {
		s.Errorf("the order is %q, want %q", ordered, fields)
	}
	if count, _ := s.client.HGet(s.Context(), hash, "b").Int(); count != size {
		s.Errorf("%d bytes are counted, want %d", count, size)
	}
}

func TestScript(t *testing.T) {
	s := newStore(t)
	for i, text := range []string{"a=1", "b=2", "a=3", "\x00\xff k=4", "b=5 is longer"} {
		s.put(7, uint64(i+1), text, false)
	}
	s.want("a=3", "\x00\xff k=4", "b=5 is longer")
	for _, key := range []string{hash, order} {
		if life := s.client.PTTL(t.Context(), key).Val(); life <= time.Hour || life > 2*time.Hour {
			t.Errorf("%s expires in %v, want nearly 2h", key, life)
		}
	}
}

func TestScriptKeepsTheRetention(t *testing.T) {
	s := newStore(t)
	number := uint64(0)
	put := func(texts ...string) {
		for _, text := range texts {
			number++
			s.put(7, number, text, false)
		}
	}
	s.retention.Keys = 3
	put("a=1", "b=2", "c=3", "a=4", "d=5")
	s.want("c=3", "a=4", "d=5")
	s.retention.Bytes = 10
	put("e=6")
	s.want("a=4", "d=5", "e=6")
	put("f=789")
	s.want("e=6", "f=789")
	put("g=123456789") // more than may be kept
	s.want()
	s.retention = cluster.Retention{Age: time.Hour, Bytes: 1 << 20, Keys: 1000}
	for i := range 500 {
		put(fmt.Sprint(i, "=x"))
	}
	s.retention.Keys = 10
	for i := range 20 {
		put(fmt.Sprint("new ", i, "=y"))
	}
	if got := len(s.values()); got != 10 {
		t.Errorf("%d messages are stored after the limit became lower, want 10", got)
	}
}

// A repeat does not take the place of a newer message, unless the server has
// lost the message.
func TestScriptKnowsRepeats(t *testing.T) {
	s := newStore(t)
	s.put(1, 5, "a=1", false)
	s.put(2, 9, "a=2", false)
	if s.put(1, 5, "a=1", true) || s.put(1, 4, "b=0", true) {
		t.Error("a repeat is stored")
	}
	s.want("a=2")
	if !s.put(1, 6, "a=3", true) {
		t.Error("a message that was sent again and is no repeat is not stored")
	}
	s.want("a=3")
	// The numbers of publishers that have ended do not accumulate.
	for i := range 1000 {
		s.put(uint64(100+i), 1, "a=4", false)
	}
	if got := s.client.HLen(t.Context(), hash).Val(); got > 300 {
		t.Errorf("the hash has %d fields after 1000 publishers", got)
	}
	if s.put(1099, 1, "a=5", true) {
		t.Error("a repeat of the last publisher is stored")
	}
}

func TestScriptOnlyIfTheIDIsOwn(t *testing.T) {
	s := newStore(t)
	if s.put(1, 1, "a=1", false, "own") {
		t.Error("a message without an ID is stored")
	}
	s.client.Set(t.Context(), id, "other", 0)
	if s.put(1, 1, "a=1", false, "own") {
		t.Error("a message with the ID of another one is stored")
	}
	s.client.Set(t.Context(), id, "own", 0)
	if !s.put(1, 1, "a=1", false, "own") {
		t.Error("a message with its own ID is not stored")
	}
	s.want("a=1")
}

func TestScriptWithoutAnOrder(t *testing.T) {
	s := newStore(t)
	s.put(1, 1, "a=1", false)
	s.put(1, 2, "b=2", false)
	s.client.Del(t.Context(), order)
	s.put(1, 3, "a=3", false)
	s.want("a=3")
	s.client.Del(t.Context(), hash)
	s.put(1, 4, "c=4", false)
	s.want("c=4")
}

func TestRemovalScript(t *testing.T) {
	s := newStore(t)
	s.put(1, 1, "a=1", false)
	s.put(1, 2, "b=2", false)
	old := s.values()[1]
	s.put(1, 3, "a=3", false)
	remove := func(v keyed.Value) bool {
		count, err := s.client.Eval(t.Context(), keyed.RemovalScript, []string{hash, order}, v.Field(), v.Order).Int()
		if err != nil {
			t.Fatal(err)
		}
		return count > 0
	}
	if remove(old) {
		t.Error("a message was removed in place of an earlier one of its key")
	}
	s.want("b=2", "a=3")
	if newest := s.values()[0]; !remove(newest) || remove(newest) {
		t.Error("a message is not removed once")
	}
	s.want("b=2")
}

func TestMalformedValues(t *testing.T) {
	values, malformed := keyed.Values(map[string]string{
		"b": "5", "i12345678": "7", "k": "", "kshort": "0123456789012345", "kletters": strings.Repeat("x", 30),
		"kgood": "0000000000000017" + "0000000003" + "abc",
	})
	if malformed != 3 || len(values) != 1 || values[0].Key != "good" || values[0].Data != "abc" || values[0].Time.UnixMicro() != 17 {
		t.Errorf("%+v, %d malformed, want one value, 3 malformed", values, malformed)
	}
}

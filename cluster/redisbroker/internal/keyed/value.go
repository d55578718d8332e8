package keyed

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// Value is the newest message of a key.
type Value struct {
	Key   string
	Order string // its time, as it is stored
	Time  time.Time
	Data  string // its envelope
}

// Field is the name of the field of the hash.
func (v *Value) Field() string { return "k" + v.Key }

// Values returns those of a hash, the newest first, and how many cannot be
// read.
func Values(hash map[string]string) (values []Value, malformed int) {
	for field, value := range hash {
		key, is := strings.CutPrefix(field, "k")
		if !is {
			continue
		}
		v, ok := parse(key, value)
		if !ok {
			malformed++
			continue
		}
		values = append(values, v)
	}
	slices.SortFunc(values, func(a, b Value) int { return strings.Compare(b.Order, a.Order) })
	return values, malformed
}

func parse(key, value string) (v Value, ok bool) {
	if len(value) < timeDigits+sizeDigits {
		return Value{}, false
	}
	order := value[:timeDigits]
	micros, err := strconv.ParseUint(order, 10, 63)
	if err != nil {
		return Value{}, false
	}
	return Value{Key: key, Order: order, Time: time.UnixMicro(int64(micros)), Data: value[timeDigits+sizeDigits:]}, true
}

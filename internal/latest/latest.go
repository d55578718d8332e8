package latest

import "slices"

// Values are the newest values of keys, in the order in which they were put.
// The zero value is empty and ready for use. It is not safe for concurrent use.
type Values[T any] struct {
	entries        map[string]*entry[T]
	oldest, newest *entry[T]
	bytes          int
}

type entry[T any] struct {
	key          string
	size         int
	time         int64
	value        T
	older, newer *entry[T]
}

// Limits bound values. A value within them is kept if all newer ones are.
type Limits struct {
	Keys, Bytes int
	Since       int64 // the time of the oldest value
}

// Put replaces the value of a key, which becomes the newest. The caller chooses
// the unit of time; it does not decrease.
func (v *Values[T]) Put(key string, size int, time int64, value T) {
	e := v.entries[key]
	if e == nil {
		if v.entries == nil {
			v.entries = make(map[string]*entry[T])
		}
		e = &entry[T]{key: key}
		v.entries[key] = e
	} else {
		v.unlink(e)
	}
	e.size, e.time, e.value = size, time, value
	e.older = v.newest
	if e.older == nil {
		v.oldest = e
	} else {
		e.older.newer = e
	}
	v.newest = e
	v.bytes += size
}

// Len is the number of keys, and Bytes the size of their values.
func (v *Values[T]) Len() int   { return len(v.entries) }
func (v *Values[T]) Bytes() int { return v.bytes }

// Trim drops the oldest values that exceed the limits, and reports whether
// there were any.
func (v *Values[T]) Trim(l Limits) (dropped bool) {
	for e := v.oldest; e != nil && (len(v.entries) > l.Keys || v.bytes > l.Bytes || e.time < l.Since); e = v.oldest {
		v.remove(e)
		dropped = true
	}
	return dropped
}

// Within returns the values within limits, the oldest first.
func (v *Values[T]) Within(l Limits) (values []T) {
	bytes := 0
	values = make([]T, 0, max(0, min(l.Keys, len(v.entries))))
	for e := v.newest; e != nil && len(values) < l.Keys && e.time >= l.Since; e = e.older {
		if bytes += e.size; bytes > l.Bytes {
			break
		}
		values = append(values, e.value)
	}
	slices.Reverse(values)
	return values
}

// Delete removes the values for which is returns true, and reports whether
// there were any.
func (v *Values[T]) Delete(is func(T) bool) (deleted bool) {
	for e := v.oldest; e != nil; {
		next := e.newer
		if is(e.value) {
			v.remove(e)
			deleted = true
		}
		e = next
	}
	return deleted
}

// Add puts all values of newer, within its own order, behind those of v.
func (v *Values[T]) Add(newer *Values[T]) {
	for e := newer.oldest; e != nil; e = e.newer {
		v.Put(e.key, e.size, e.time, e.value)
	}
}

func (v *Values[T]) remove(e *entry[T]) {
	v.unlink(e)
	delete(v.entries, e.key)
	if len(v.entries) == 0 {
		v.entries = nil // a map does not shrink
	}
}

func (v *Values[T]) unlink(e *entry[T]) {
	if e.older == nil {
		v.oldest = e.newer
	} else {
		e.older.newer = e.newer
	}
	if e.newer == nil {
		v.newest = e.older
	} else {
		e.newer.older = e.older
	}
	e.older, e.newer = nil, nil
	v.bytes -= e.size
}

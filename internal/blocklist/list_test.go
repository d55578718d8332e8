package blocklist

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestBlockEndsOrIsLifted(t *testing.T) {
	var l List
	if _, err := l.Block("ann", "spam", time.Minute, start); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Block("bob", "", time.Hour, start); err != nil {
		t.Fatal(err)
	}
	expect := func(user string, after time.Duration, want string, blocked bool) {
		t.Helper()
		if reason, is := l.Blocked(user, start.Add(after)); reason != want || is != blocked {
			t.Errorf("%s after %v: blocked %v for %q, want %v for %q", user, after, is, reason, blocked, want)
		}
	}
	expect("ann", 0, "spam", true)
	expect("ann", time.Minute-1, "spam", true)
	expect("ann", time.Minute, "spam", false)
	expect("eve", 0, "", false)
	l.Lift("bob", start.Add(time.Second))
	expect("bob", time.Second, "", false)
	// The end of a block is kept as long as the block would have lasted.
	if left := l.Prune(start.Add(time.Minute)); left != 1 || l.Users(start.Add(time.Minute)) != 0 {
		t.Errorf("%d entries are left, want that of bob", left)
	}
	if left := l.Prune(start.Add(time.Hour)); left != 0 || l.Digest(start) != 0 {
		t.Errorf("%d entries are left, want none", left)
	}
}

// Lists that have seen the same entries are the same, in any order and however
// often they have seen them.
func TestListsConverge(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var lists [3]List
		var all []Entry
		for range 20 {
			// Clocks that differ: a later decision may have an earlier time.
			now := start.Add(time.Duration(random.IntN(5)) * time.Microsecond)
			user, l := string(rune('a'+random.IntN(3))), &lists[random.IntN(3)]
			if random.IntN(3) == 0 {
				all = append(all, l.Lift(user, now))
				continue
			}
			e, err := l.Block(user, fmt.Sprint(random.IntN(2)), time.Duration(1+random.IntN(3))*time.Hour, now)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, e)
		}
		for i := range lists {
			for range 2 {
				random.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
				lists[i].Merge(all, start)
			}
		}
		for i := range lists[1:] {
			if lists[0].Digest(start) != lists[i+1].Digest(start) {
				t.Fatalf("the lists differ:\n%+v\n%+v", lists[0].Entries(start), lists[i+1].Entries(start))
			}
		}
		for _, user := range []string{"a", "b", "c"} {
			_, first := lists[0].Blocked(user, start)
			_, second := lists[1].Blocked(user, start)
			if first != second {
				t.Fatalf("%s is blocked on one of two nodes", user)
			}
		}
	}
}

// A block that a node brings back does not undo its end.
func TestOldBlockDoesNotReturn(t *testing.T) {
	var here, there List
	old, err := there.Block("ann", "", time.Hour, start)
	if err != nil {
		t.Fatal(err)
	}
	here.Merge([]Entry{old}, start)
	here.Lift("ann", start.Add(-time.Second)) // a clock that is behind
	if blocked := here.Merge(there.Entries(start), start); len(blocked) != 0 {
		t.Errorf("%+v is blocked again", blocked)
	}
	if blocked := there.Merge(here.Entries(start), start); len(blocked) != 0 || there.Users(start) != 0 {
		t.Errorf("%+v: still blocked where the block was made", there.Entries(start))
	}
	// A newer block counts.
	if _, err := there.Block("ann", "again", time.Hour, start); err != nil {
		t.Fatal(err)
	}
	if blocked := here.Merge(there.Entries(start), start); len(blocked) != 1 || blocked[0].Reason != "again" {
		t.Errorf("blocked %+v, want ann again", blocked)
	}
}

func TestListIsBounded(t *testing.T) {
	var l List
	for i := range MaxEntries {
		if _, err := l.Block(fmt.Sprint(i), "", time.Hour, start); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := l.Block("one more", "", time.Hour, start); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v, want %v", err, ErrFull)
	}
	if _, err := l.Block("7", "longer", time.Hour, start); err != nil {
		t.Errorf("a known one: %v", err)
	}
}

func TestBlockedDoesNotAllocate(t *testing.T) {
	var l List
	if _, err := l.Block("ann", "spam", time.Hour, start); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { l.Blocked("ann", start) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzMerge merges entries of another node, which may be anything.
func FuzzMerge(f *testing.F) {
	f.Add([]byte(`[{"user":"ann","reason":"spam","version":7,"left":5},{"user":"ann","version":8,"left":9,"lifted":true}]`))
	f.Add([]byte(`[{"user":"","left":9223372036854775807,"version":-1},{"user":"b","left":-5}]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var entries []Entry
		if json.Unmarshal(data, &entries) != nil {
			return
		}
		var first, second List
		first.Merge(entries, start)
		slices.Reverse(entries)
		second.Merge(entries, start)
		if second.Merge(entries, start); first.Digest(start) != second.Digest(start) {
			t.Errorf("in another order:\n%+v\n%+v", first.Entries(start), second.Entries(start))
		}
		before := first.Digest(start)
		if first.Merge(first.Entries(start), start); first.Digest(start) != before {
			t.Error("merging its own entries has changed the list")
		}
		for _, e := range first.Entries(start) {
			if e.Left <= 0 {
				t.Errorf("%+v has no time left", e)
			}
		}
	})
}

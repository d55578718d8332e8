package presence

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func users(count int) (members []Member) {
	for i := range count {
		members = append(members, Member{Key: UserKey(fmt.Sprintf("%022d", i)), Conns: 1})
	}
	return members
}

// full returns a roster with own members that it has announced.
func full(node string, epoch uint64, members []Member) *Roster {
	r := NewRoster(node, epoch, 1000, 2000)
	for _, m := range members {
		r.Join(m.Key, string(m.Info), 1)
	}
	r.Announce()
	return r
}

// A share in parts is whole, however it mixes with another one of its node, or
// it is asked for.
func TestPartsOfShares(t *testing.T) {
	members := users(3 * maxAnnounced)
	from := full("a", 10, members)
	forAll, forOne := from.Share(0), from.Share(5)
	if len(forAll) != 3 {
		t.Fatalf("%d parts, want 3", len(forAll))
	}
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		to := NewRoster("b", 5, 1000, 2000)
		one, all, asks := slices.Clone(forOne), slices.Clone(forAll), false
		for len(one)+len(all) > 0 {
			from := &one
			if len(one) == 0 || len(all) > 0 && random.IntN(2) == 0 {
				from = &all
			}
			if random.IntN(10) > 0 {
				asks = to.Receive("a", (*from)[0], 10) || asks
			} else {
				asks = true // a lost part is noticed by the wait for shares
			}
			*from = (*from)[1:]
		}
		if to.Confirmed() == 1 && to.Count() != len(members) || to.Confirmed() == 0 && !asks {
			t.Fatalf("seed %d: %d of %d members are known, confirmed by %d", seed, to.Count(), len(members), to.Confirmed())
		}
		for _, part := range from.Share(5) {
			to.Receive("a", part, 2000)
		}
		if to.Count() != len(members) || to.Confirmed() != 1 || to.IsMissing() {
			t.Fatalf("seed %d: after another share %d of %d members are known", seed, to.Count(), len(members))
		}
	}
}

// Nodes come and go by the hundred, and nothing of them is left.
func TestManyNodes(t *testing.T) {
	r := full("self", 1, users(1))
	for i := range 300 {
		r.Receive(fmt.Sprint("n", i), full("", 7, users(3)).Share(0)[0], 10)
	}
	if m := r.Member(users(1)[0].Key); r.Count() != 3 || m.Conns != 301 {
		t.Errorf("%d members, the first one with %d connections; want 3 and 301", r.Count(), m.Conns)
	}
	for i := range 300 {
		if node := fmt.Sprint("n", i); !r.NodeGone(node, 20) || r.NodeGone(node, 20) {
			t.Errorf("%s was not known once", node)
		}
	}
	if r.Count() != 1 || len(r.shares) != 0 {
		t.Errorf("%d members and %d shares are left, want one member", r.Count(), len(r.shares))
	}
}

// A node that never answers is not asked for ever.
func TestSilentNode(t *testing.T) {
	r := full("self", 1, users(1))
	asks, now := 0, int64(10)
	if r.Receive("silent", &Announcement{Epoch: 5, Number: 9}, now) {
		asks++
	}
	for r.IsMissing() && asks < 1000 {
		now += askAgain
		asks += len(r.Missing(now))
	}
	if asks != maxAsks+1 {
		t.Errorf("%d asks, want %d", asks, maxAsks+1)
	}
}

// More changes than fit into one message are shown in the end, each once, and
// as many per interval as fit.
func TestManyChanges(t *testing.T) {
	members := users(5*maxShown + 7)
	members[0].Info = json.RawMessage(`"` + strings.Repeat("x", maxBytes) + `"`)
	r := full("self", 1, members)
	shown := make(map[string]int)
	now := int64(1)
	for left := 0; left < len(members); {
		c, due := r.Changes(now)
		if c != nil {
			for _, m := range c.Joined {
				shown[m.Key]++
			}
			for _, key := range c.Left {
				shown[key]--
				left++
			}
			if len(c.Joined)+len(c.Left) > maxShown {
				t.Fatalf("%d changes at once, want at most %d", len(c.Joined)+len(c.Left), maxShown)
			}
		}
		switch {
		case due == 0 && len(shown) == len(members) && left == 0:
			for _, m := range members {
				r.Leave(m.Key, now)
			}
		case due == 0 && left < len(members):
			t.Fatalf("%d of %d members were shown, and %d leaves; nothing more is due", len(shown), len(members), left)
		case due != 0 && due <= now:
			t.Fatalf("at %d, changes are due at %d", now, due)
		}
		now = max(now, due)
	}
	for key, count := range shown {
		if count != 0 {
			t.Errorf("%s was shown to join and leave unequally often: %d", key, count)
		}
	}
}

// However large infos are, announcements and messages for clients are not.
func TestLargeInfos(t *testing.T) {
	members := users(500)
	for i := range members {
		members[i].Info = json.RawMessage(`"` + strings.Repeat("<", 2046) + `"`)
	}
	r := full("self", 1, members)
	check := func(what string, value any) {
		t.Helper()
		if text, err := json.Marshal(value); err != nil || len(text) > 512<<10 {
			t.Errorf("%s have %d bytes, %v; want at most 512 KB", what, len(text), err)
		}
	}
	other, parts := NewRoster("other", 2, 1000, 2000), r.Share(0)
	for _, a := range parts {
		check("parts of shares", a)
		other.Receive("self", a, 1)
	}
	if other.Count() != len(members) {
		t.Errorf("%d members are known, want %d", other.Count(), len(members))
	}
	changes, _ := r.Changes(1)
	check("changes", changes)
	for _, m := range members {
		r.Join(m.Key, "", 1)
	}
	for !r.IsAnnounced() {
		check("changes of nodes", r.Announce()[0])
	}
	read, after := 0, ""
	for more := true; more; {
		var page []Member
		page, more = r.Members(after, 500)
		check("pages", page)
		read, after = read+len(page), page[len(page)-1].Key
	}
	if read != len(members) {
		t.Errorf("the pages have %d members, want %d", read, len(members))
	}
}

// Pages are those of a list that is sorted anew each time.
func TestPages(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	r, conns := NewRoster("self", 1, 100, 200), make(map[string]int)
	shown := make(map[string]int) // by changes and pages, and not as gone
	for step := range 20_000 {
		now := int64(1 + step)
		key := UserKey(fmt.Sprint(random.IntN(300)))
		if random.IntN(2) == 0 {
			r.Join(key, "", now)
			conns[key]++
		} else if conns[key] > 0 {
			r.Leave(key, now)
			if conns[key]--; conns[key] == 0 {
				delete(conns, key)
			}
		}
		if c, _ := r.Changes(now); c != nil {
			for _, m := range c.Joined {
				shown[m.Key] = 0
			}
			for _, key := range c.Left {
				delete(shown, key)
			}
		}
		if random.IntN(2+step%150) > 0 {
			continue
		}
		after, limit := UserKey(fmt.Sprint(random.IntN(300))), random.IntN(50)
		all := maps.Clone(shown)
		maps.Copy(all, conns)
		if r.Count() != len(all) {
			t.Fatalf("step %d: %d members, want %d", step, r.Count(), len(all))
		}
		keys := slices.Sorted(maps.Keys(all))
		keys = slices.DeleteFunc(keys, func(k string) bool { return k <= after })
		page, more := r.Members(after, limit)
		want := keys[:min(limit, len(keys))]
		if len(page) != len(want) || limit > 0 && more != (len(keys) > limit) {
			t.Fatalf("step %d: %d members after %s, more: %t; want %d of %d", step, len(page), after, more, len(want), len(keys))
		}
		for i, m := range page {
			if m.Key != want[i] || m.Conns != conns[m.Key] {
				t.Fatalf("step %d: member %+v, want %s with %d connections", step, m, want[i], conns[want[i]])
			}
			shown[m.Key] = 0
		}
	}
}

// memory returns the bytes of the heap that are in use.
func memory() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A member costs a node at most 200 bytes, whether it is a member of this node
// or of another one, also when the pages are read.
func TestMemoryOfMembers(t *testing.T) {
	const count = 10_000
	text, err := json.Marshal(full("a", 10, users(count/2)).Share(0))
	if err != nil {
		t.Fatal(err)
	}
	before := memory()
	r := NewRoster("self", 1, 1, 1)
	for i := count / 2; i < count; i++ {
		r.Join(UserKey(fmt.Sprintf("%022d", i)), "", 1)
	}
	for !r.IsAnnounced() {
		r.Announce()
	}
	var parts []*Announcement
	if err := json.Unmarshal(text, &parts); err != nil {
		t.Fatal(err)
	}
	for _, a := range parts {
		r.Receive("a", a, 1)
	}
	parts = nil
	for now := int64(1); now != 0; {
		_, now = r.Changes(now)
	}
	idle := (memory() - before) / count
	r.Members("", 100)
	read := (memory() - before) / count
	t.Logf("%d bytes per member, %d when pages are read", idle, read)
	if r.Count() != count || read > 200 {
		t.Errorf("%d members with %d bytes each, want %d with at most 200", r.Count(), read, count)
	}
	runtime.KeepAlive(text)
}

// Garbage from other nodes does not confuse a roster: it keeps its own members,
// and takes a real announcement afterwards.
func FuzzReceive(f *testing.F) {
	for _, text := range []string{
		`{"e":1,"n":1,"s":true,"l":[{"k":"ua","n":1}]}`,
		`{"e":7,"n":2,"l":[{"k":"ua","n":-5,"i":{}},{"k":"x","n":3},{"k":"","n":3}]}`,
		`{"e":18446744073709551615,"n":18446744073709551615,"s":true}`,
		`{"e":4611686018427387904,"n":1}` + "\n" + `{"e":3,"n":1,"s":true,"p":-1,"m":true}`,
		`{"e":3,"n":1,"s":true,"m":true}` + "\n" + `{"e":3,"n":1,"s":true,"p":1,"f":9}`,
		`{"a":true,"k":18446744073709551615,"f":4}`,
		`{"e":3,"n":1,"s":true,"l":[{"k":"ub","n":9223372036854775807},{"k":"ub","n":1}]}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		r := full("self", 100, []Member{{Key: UserKey("own"), Conns: 1}})
		for line := range bytes.Lines(text) {
			a := new(Announcement)
			if json.Unmarshal(line, a) != nil {
				continue
			}
			r.Receive("a", a, 1)
			r.Receive("b", a, 1)
		}
		real := full("a", maxEpoch, []Member{{Key: UserKey("real"), Conns: 1}})
		r.Receive("a", real.Share(0)[0], 2)
		r.NodeGone("b", 3)
		members, more := r.Members("", 10)
		if len(members) != r.Count() || more {
			t.Fatalf("the members are %+v, want %d", members, r.Count())
		}
		for _, m := range members {
			if m.Conns <= 0 || m.Key == "" {
				t.Errorf("member %+v", m)
			}
		}
		if r.Member(UserKey("own")).Conns < 1 {
			t.Error("the own member is lost")
		}
		if s := r.shares["a"]; s.epoch != maxEpoch || r.Member(UserKey("real")).Conns < 1 {
			t.Errorf("the real share was not heard: %+v", s)
		}
	})
}

package latest_test

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/stoa-io/stoa/internal/latest"
)

// everything exceeds no value of the tests.
var everything = latest.Limits{Keys: 1 << 30, Bytes: 1 << 30, Since: -1 << 30}

func TestValues(t *testing.T) {
	var v latest.Values[string]
	for i, put := range []string{"a1", "b2", "c3", "a4"} {
		v.Put(put[:1], 10, int64(i), put)
	}
	if got, want := v.Within(everything), []string{"b2", "c3", "a4"}; !slices.Equal(got, want) || v.Len() != 3 || v.Bytes() != 30 {
		t.Errorf("%v, %d keys, %d bytes, want %v, 3, 30", got, v.Len(), v.Bytes(), want)
	}
	for name, test := range map[string]struct {
		limits latest.Limits
		want   []string
	}{
		"keys":  {latest.Limits{Keys: 2, Bytes: 1000}, []string{"c3", "a4"}},
		"bytes": {latest.Limits{Keys: 9, Bytes: 29}, []string{"c3", "a4"}},
		"time":  {latest.Limits{Keys: 9, Bytes: 1000, Since: 3}, []string{"a4"}},
		"none":  {latest.Limits{}, nil},
	} {
		if got := v.Within(test.limits); !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	if !v.Delete(func(s string) bool { return s == "c3" }) || v.Delete(func(s string) bool { return s == "a1" }) {
		t.Error("Delete reports other values than those that were there")
	}
	var newer latest.Values[string]
	newer.Put("d", 1, 5, "d5")
	newer.Put("b", 1, 6, "b6")
	v.Add(&newer)
	if got, want := v.Within(everything), []string{"a4", "d5", "b6"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestValuesAgainstAList compares with the list of all values.
func TestValuesAgainstAList(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		type value struct {
			key        string
			size, time int
		}
		var v latest.Values[value]
		var list []value
		total := func() (bytes int) {
			for _, x := range list {
				bytes += x.size
			}
			return bytes
		}
		for now := range random.IntN(60) {
			switch random.IntN(8) {
			case 0:
				l := latest.Limits{Keys: random.IntN(12), Bytes: random.IntN(60), Since: int64(now - random.IntN(20))}
				dropped := false
				for len(list) > 0 && (len(list) > l.Keys || total() > l.Bytes || int64(list[0].time) < l.Since) {
					list, dropped = list[1:], true
				}
				if got := v.Within(l); !slices.Equal(got, list) {
					t.Fatalf("Within(%+v) = %v, want %v", l, got, list)
				}
				if v.Trim(l) != dropped {
					t.Fatalf("Trim(%+v) = %v, want %v", l, !dropped, dropped)
				}
			case 1:
				size := random.IntN(10)
				is := func(x value) bool { return x.size == size }
				v.Delete(is)
				list = slices.DeleteFunc(list, is)
			default:
				x := value{strconv.Itoa(random.IntN(12)), random.IntN(10), now}
				list = append(slices.DeleteFunc(list, func(y value) bool { return y.key == x.key }), x)
				v.Put(x.key, x.size, int64(x.time), x)
			}
			if got := v.Within(everything); !slices.Equal(got, list) || v.Len() != len(list) || v.Bytes() != total() {
				t.Fatalf("%v, %d keys, %d bytes, want %v", got, v.Len(), v.Bytes(), list)
			}
		}
	}
}

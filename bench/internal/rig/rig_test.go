//go:build linux

package rig

import "testing"

func TestFindMetric(t *testing.T) {
	metrics := "# HELP go_memstats_mallocs_total x\ngo_memstats_mallocs_total 1.5e+06\nother{a=\"b\"} 2\n"
	if got, err := findMetric(metrics, "go_memstats_mallocs_total"); err != nil || got != 1.5e6 {
		t.Errorf("findMetric: %v, %v; want 1.5e6", got, err)
	}
	if _, err := findMetric(metrics, "go_memstats_heap_inuse_bytes"); err == nil {
		t.Error("findMetric found a metric that is not there")
	}
}

func TestOutputFindsTheAddress(t *testing.T) {
	o := newOutput()
	for _, piece := range []string{"open ws://127.0.0.1:80", "80/ in a browser, metrics on http://127.0.0.1:9000\n"} {
		if _, err := o.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-o.address; got != "127.0.0.1:8080" {
		t.Errorf("address in pieces: %q, want 127.0.0.1:8080", got)
	}
}

func TestPublishCalls(t *testing.T) {
	for _, test := range []struct {
		name string
		info string
		want uint64
	}{
		{name: "none", info: "# Commandstats\r\ncmdstat_ping:calls=2,usec=1\r\n"},
		{name: "some", info: "# Commandstats\r\ncmdstat_publish:calls=1234,usec=99,usec_per_call=0.08\r\ncmdstat_exec:calls=2,usec=1\r\n", want: 1234},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := publishCalls(test.info); err != nil || got != test.want {
				t.Errorf("%d, error %v; want %d", got, err, test.want)
			}
		})
	}
}

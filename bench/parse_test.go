//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestParseFrame(t *testing.T) {
	for _, test := range []struct {
		name    string
		data    []byte
		opcode  byte
		payload string
		size    int
		fails   bool
	}{
		{name: "empty"},
		{name: "half a header", data: []byte{0x81}},
		{name: "half a payload", data: []byte{0x81, 3, 'a', 'b'}},
		{name: "text", data: []byte{0x81, 2, 'a', 'b', 0x81}, opcode: opText, payload: "ab", size: 4},
		{name: "masked", data: appendMasked(nil, opPing, []byte("hello")), opcode: opPing, payload: "hello", size: 11},
		{name: "long", data: appendFrame(nil, opText, bytes.Repeat([]byte("x"), 300)), opcode: opText, payload: strings.Repeat("x", 300), size: 304},
		{name: "half a long header", data: []byte{0x81, 126, 1}},
		{name: "very long", data: []byte{0x81, 127}, fails: true},
		{name: "fragment", data: []byte{0x01, 0}, fails: true},
		{name: "reserved bit", data: []byte{0xc1, 0}, fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f, size, err := parseFrame(test.data)
			if (err != nil) != test.fails {
				t.Fatalf("error %v, want one: %v", err, test.fails)
			}
			if size != test.size || f.opcode != test.opcode || string(f.payload) != test.payload {
				t.Errorf("got opcode %d, %q, size %d; want %d, %q, %d", f.opcode, f.payload, size, test.opcode, test.payload, test.size)
			}
		})
	}
}

func TestMessageForm(t *testing.T) {
	for _, room := range []string{"room-0", "room-14999", strings.Repeat("long", 40)} {
		form := newMessageForm(room, event)
		for _, number := range []uint64{0, 7, 1234567890, 9999999999} {
			sent := form.appendMessage([]byte("before"), number)[len("before"):]
			f, size, err := parseFrame(sent)
			if err != nil || size != len(sent) {
				t.Fatalf("room %.10s, message %d: size %d of %d, %v", room, number, size, len(sent), err)
			}
			got, ok := form.number(appendFrame(nil, opText, f.payload))
			if !ok || got != number {
				t.Errorf("room %.10s: sent message %d and got %d, %v", room, number, got, ok)
			}
		}
		whole := bytes.Clone(form.received)
		if _, ok := form.number(whole[:len(whole)-1]); ok {
			t.Errorf("room %.10s: a cut message is taken for a whole one", room)
		}
		for _, at := range []int{0, 1, form.before - 1, form.before, form.after, len(whole) - 1} {
			whole[at] ^= 1 << 6
			if _, ok := form.number(whole); ok {
				t.Errorf("room %.10s: a changed byte %d is not noticed", room, at)
			}
			whole[at] ^= 1 << 6
		}
	}
}

func TestAskForm(t *testing.T) {
	form := newAskForm(eventEcho)
	for _, number := range []uint64{0, 7, 1234567890, 9999999999} {
		sent := form.appendAsk([]byte("before"), number)[len("before"):]
		f, size, err := parseFrame(sent)
		if err != nil || size != len(sent) {
			t.Fatalf("ask %d: size %d of %d, %v", number, size, len(sent), err)
		}
		answer := appendFrame(nil, opText, f.payload)
		if !form.answers(append(answer, "more"...), number) {
			t.Errorf("ask %d: %q is not its answer", number, answer)
		}
		if form.answers(answer, number+1) || form.answers(answer[:len(answer)-1], number) {
			t.Errorf("ask %d: another answer, or a part of it, is taken for it", number)
		}
		for at := range answer {
			answer[at] ^= 1 << 6
			if form.answers(answer, number) {
				t.Errorf("ask %d: a changed byte %d is not noticed", number, at)
			}
			answer[at] ^= 1 << 6
		}
	}
}

func TestSelectRows(t *testing.T) {
	for _, test := range []struct{ selection, want string }{
		{"all", rowNames()},
		{"1", "idle"},
		{"paced, 2,one", "one, paced"},
		{"0", ""}, {"99", ""}, {"", ""}, {"nothing", ""}, {"1,,2", ""},
	} {
		rows, err := selectRows(test.selection)
		names := make([]string, len(rows))
		for i, row := range rows {
			names[i] = row.name
		}
		if got := strings.Join(names, ", "); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("-rows %q: %q, %v; want %q", test.selection, got, err, test.want)
		}
	}
}

func TestStatistics(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.values, got, test.want)
		}
	}
	hundred := make([]int64, 100)
	for i := range hundred {
		hundred[i] = int64(i + 1)
	}
	for _, test := range []struct {
		part float64
		want int64
	}{{0, 1}, {0.5, 50}, {0.99, 99}, {1, 100}} {
		if got := percentile(hundred, test.part); got != test.want {
			t.Errorf("percentile %v of 1 to 100 is %d, want %d", test.part, got, test.want)
		}
	}
	if got := percentile(nil, 0.5); got != 0 {
		t.Errorf("percentile of nothing is %d, want 0", got)
	}
	for value, want := range map[float64]string{0: "0", 7.4: "7", 999: "999", 1234: "1,230", 1930123: "1,930,000", -12345: "-12,300"} {
		if got := thousands(value); got != want {
			t.Errorf("thousands(%v) is %q, want %q", value, got, want)
		}
	}
}

func TestLineVerdict(t *testing.T) {
	for _, test := range []struct {
		name string
		line line
		want string
	}{
		{"no goal", line{stoa: []float64{1}}, ""},
		{"value met", line{stoa: []float64{1, 9, 2}, goal: goal{goalValueAtMost, 2}}, "met"},
		{"value missed", line{stoa: []float64{3}, goal: goal{goalValueAtMost, 2}}, "missed"},
		{"value high enough", line{stoa: []float64{3}, goal: goal{goalValueAtLeast, 2}}, "met"},
		{"value too low", line{stoa: []float64{1}, goal: goal{goalValueAtLeast, 2}}, "missed"},
		{"ratio of pairs", line{stoa: []float64{10, 2, 3}, floor: []float64{10, 2, 1}, goal: goal{goalRatioAtMost, 1}}, "met"},
		{"ratio too low", line{stoa: []float64{8}, floor: []float64{10}, goal: goal{goalRatioAtLeast, 0.9}}, "missed"},
	} {
		if got := test.line.verdict(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func TestReadingWhatOthersPrint(t *testing.T) {
	metrics := "# HELP go_memstats_mallocs_total x\ngo_memstats_mallocs_total 1.5e+06\nother{a=\"b\"} 2\n"
	if got, err := findMetric(metrics, metricMallocs); err != nil || got != 1.5e6 {
		t.Errorf("findMetric: %v, %v; want 1.5e6", got, err)
	}
	if _, err := findMetric(metrics, metricHeapInUse); err == nil {
		t.Error("findMetric found a metric that is not there")
	}
	if got, err := statusField([]byte("Name:\tx\nVmRSS:\t    5 kB\n"), "VmRSS:"); err != nil || got != 5<<10 {
		t.Errorf("statusField: %v, %v; want 5120", got, err)
	}
	answer := "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"
	if got, err := answerSize([]byte(answer)); err != nil || got != len(answer) {
		t.Errorf("answerSize: %v, %v; want %d", got, err, len(answer))
	}
	o := newOutput()
	for _, piece := range []string{"open http://127.0.0.1:80", "80/ in a browser, metrics on http://127.0.0.1:9000\n"} {
		if _, err := o.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-o.address; got != "127.0.0.1:8080" {
		t.Errorf("address in pieces: %q, want 127.0.0.1:8080", got)
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte{0x81, 2, 'a', 'b', 0x81})
	f.Add(appendMasked(nil, opClose, []byte("x")))
	f.Add(appendFrame(nil, opText, bytes.Repeat([]byte("x"), 300)))
	f.Fuzz(func(t *testing.T, data []byte) {
		in, size, err := parseFrame(bytes.Clone(data))
		if size < 0 || size > len(data) || err == nil && len(in.payload) > size {
			t.Fatalf("size %d, payload of %d, of %d bytes", size, len(in.payload), len(data))
		}
		if size == 0 {
			return
		}
		again, _, err := parseFrame(appendMasked(nil, in.opcode, in.payload))
		if err != nil || again.opcode != in.opcode || !bytes.Equal(again.payload, in.payload) {
			t.Fatalf("%v became %v, %v", in, again, err)
		}
	})
}

package report

import "testing"

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 2, 9}, 3}} {
		if got := Median(test.values); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.values, got, test.want)
		}
	}
}

func TestThousands(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 7.4: "7", 999: "999", 1234: "1,230", 1930123: "1,930,000", -12345: "-12,300"} {
		if got := Thousands(value); got != want {
			t.Errorf("Thousands(%v) is %q, want %q", value, got, want)
		}
	}
}

func TestResultVerdict(t *testing.T) {
	for _, test := range []struct {
		name   string
		result Result
		want   string
	}{
		{"no goal", Result{Stoa: []float64{1}}, ""},
		{"value met", Result{Stoa: []float64{1, 9, 2}, Goal: AtMost(2)}, "met"},
		{"value missed", Result{Stoa: []float64{3}, Goal: AtMost(2)}, "missed"},
		{"value high enough", Result{Stoa: []float64{3}, Goal: AtLeast(2)}, "met"},
		{"value too low", Result{Stoa: []float64{1}, Goal: AtLeast(2)}, "missed"},
		{"ratio of pairs", Result{Stoa: []float64{10, 2, 3}, Floor: []float64{10, 2, 1}, Goal: RatioAtMost(1)}, "met"},
		{"ratio too low", Result{Stoa: []float64{8}, Floor: []float64{10}, Goal: RatioAtLeast(0.9)}, "missed"},
	} {
		if got := test.result.verdict(); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

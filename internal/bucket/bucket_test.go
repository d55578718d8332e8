package bucket_test

import (
	"math"
	"testing"

	"github.com/stoa-io/stoa/internal/bucket"
)

// passed counts the messages of a source that always has one more: it waits as
// it must, and sees the time late by up to late milliseconds.
func passed(r bucket.Rate, start uint32, milliseconds, late int) int {
	var b bucket.Bucket
	count, ready := 0, 0
	for now := 0; now < milliseconds; now++ {
		if now < ready {
			continue
		}
		for {
			wait := b.Take(&r, start+uint32(now), 1)
			if wait > 0 {
				ready = now + int(wait)
				if late > 0 {
					ready += count % (late + 1)
				}
				break
			}
			count++
		}
		// The message that waits is let through when the wait is over.
		if ready < milliseconds {
			count++
		}
	}
	return count
}

// A limit of 10 per second lets 10 a second through, after the burst.
func TestSteadyState(t *testing.T) {
	const tenSeconds = 10_000
	for _, c := range []struct {
		perSecond float64
		burst     int
		want      int
	}{
		{10, 0, 10 + 100 - 1}, // the token of the last instant is not there yet
		{10, 1, 1 + 100 - 1},
		{10, 25, 25 + 100 - 1},
		{3, 1, 1 + 29}, // at 333.3 ms, …, 9666.6 ms
		{1, 0, 1 + 9},
		{0.5, 0, 1 + 4},
		{1000, 10, 10 + 10_000 - 1},
		{2500, 100, 100 + 25_000 - 3},
	} {
		for _, start := range []uint32{0, 1, math.MaxUint32 - 5000} {
			if got := passed(bucket.NewRate(c.perSecond, c.burst), start, tenSeconds, 0); got != c.want {
				t.Errorf("%v per second, burst %d, from %d: %d in ten seconds, want %d", c.perSecond, c.burst, start, got, c.want)
			}
		}
	}
}

// A caller that notices late that it may go on gets no less.
func TestLateCallers(t *testing.T) {
	const seconds = 1000
	r := bucket.NewRate(10, 1)
	if got := passed(r, 0, seconds*1000, 40); got < 10*seconds-1 || got > 10*seconds+1 {
		t.Errorf("%d in %d seconds, want %d", got, seconds, 10*seconds)
	}
}

// A quiet source gets its burst back, and not more.
func TestBurst(t *testing.T) {
	r := bucket.NewRate(10, 5)
	var b bucket.Bucket
	now := uint32(math.MaxUint32 - 100)
	for round := range 3 {
		for i := range 5 {
			if wait := b.Take(&r, now, 1); wait != 0 {
				t.Fatalf("round %d, message %d of a burst of 5 waits %d ms", round, i, wait)
			}
		}
		if wait := b.TryTake(&r, now, 1); wait != 100 {
			t.Errorf("round %d: the sixth waits %d ms, want 100", round, wait)
		}
		if b.IsFull(&r, now+499) || !b.IsFull(&r, now+500) {
			t.Errorf("round %d: the bucket is not full again after exactly 500 ms", round)
		}
		now += 1 << 31 // 24 days
	}
}

// More than a burst waits for a full bucket, and is paid for.
func TestMoreThanTheBurst(t *testing.T) {
	r := bucket.NewRate(1000, 100)
	var b bucket.Bucket
	for i, want := range []uint32{0, 300, 600} {
		if wait := b.Take(&r, 0, 300); wait != want {
			t.Errorf("number %d waits %d ms, want %d", i, wait, want)
		}
	}
	if wait := b.Take(&r, 600, 1); wait != 201 {
		t.Errorf("one token waits %d ms behind a debt of 300 and a bucket of 100, want 201", wait)
	}
}

func TestReturn(t *testing.T) {
	r := bucket.NewRate(1, 1)
	var b bucket.Bucket
	for range 10 {
		if wait := b.Take(&r, 7, 1); wait != 0 {
			t.Fatalf("waits %d ms although all tokens were returned", wait)
		}
		b.Return(1)
	}
	b.Return(5)
	if b.Take(&r, 7, 1) != 0 || b.Take(&r, 7, 1) == 0 {
		t.Error("more tokens were returned than taken, and the bucket holds more than the burst")
	}
}

// The clocks of several loops are not equal. An earlier one adds nothing.
func TestEarlierClock(t *testing.T) {
	r := bucket.NewRate(1, 1)
	var b bucket.Bucket
	b.Take(&r, 10_000, 1)
	if wait := b.TryTake(&r, 9_990, 1); wait == 0 {
		t.Error("a clock that is behind has filled the bucket")
	}
}

func TestNoLimit(t *testing.T) {
	var r bucket.Rate
	var b bucket.Bucket
	if !r.IsZero() || b.Take(&r, 1, 1<<30) != 0 || !b.IsFull(&r, 1) {
		t.Error("the zero rate limits")
	}
}

// FuzzBucket compares any sequence of calls with floating-point arithmetic.
func FuzzBucket(f *testing.F) {
	f.Add(10.0, 5, uint32(0), []byte{1, 0, 1, 200, 3, 9})
	f.Add(0.001, 1, uint32(math.MaxUint32), []byte{1, 255, 255, 255})
	f.Add(1e12, 1<<30, uint32(1<<31), []byte{255, 1, 255, 1})
	f.Fuzz(func(t *testing.T, perSecond float64, burst int, now uint32, steps []byte) {
		if math.IsNaN(perSecond) || perSecond <= 0 {
			perSecond = 1
		}
		perSecond = math.Round(min(max(perSecond, bucket.MinPerSecond), bucket.MaxPerSecond)*1000) / 1000
		burst = min(max(burst, 1), bucket.MaxBurst)
		r := bucket.NewRate(perSecond, burst)
		var b bucket.Bucket
		missing := 0.0 // tokens
		for i := 0; i+1 < len(steps); i += 2 {
			n, elapsed := int(steps[i])*int(steps[i])*997, uint32(steps[i+1])*uint32(steps[i+1])
			now += elapsed
			missing = max(0, missing-float64(elapsed)*perSecond/1000) + float64(n)
			want := math.Ceil((missing - float64(max(n, burst))) * 1000 / perSecond)
			got := float64(b.Take(&r, now, n))
			if want = min(max(want, 0), math.MaxUint32/4); math.Abs(got-want) > 1+want/1e6 {
				t.Fatalf("step %d: waits %v ms, want %v", i/2, got, want)
			}
		}
	})
}

func BenchmarkTake(b *testing.B) {
	b.ReportAllocs()
	r := bucket.NewRate(1e9, 1<<30)
	var source bucket.Bucket
	now := uint32(0)
	for b.Loop() {
		now++
		source.Take(&r, now, 100)
	}
}

package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/stoa-io/stoa/node"
)

// The bounds of node.Rate.
const (
	maxPerSecond = 1e12
	maxBurst     = math.MaxInt32
)

// decimals is a positive rate with up to three decimals.
var decimals = regexp.MustCompile(`^` + digits + `(\.[0-9]{1,3})?$`)

// parseMeter reads "200/s" and "200/s burst 400"; of bytes, both numbers have a
// unit.
func (k *key) parseMeter(s string) (node.Rate, error) {
	amount, burst, hasBurst := strings.Cut(s, " burst ")
	amount, perSecond := strings.CutSuffix(amount, "/s")
	var r node.Rate
	var err error
	if k.bytes {
		var n int
		n, err = number(size, amount)
		r.PerSecond = float64(n)
	} else if err = errNumber; decimals.MatchString(amount) {
		r.PerSecond, err = strconv.ParseFloat(amount, 64)
	}
	if err == nil && hasBurst {
		kind := count
		if k.bytes {
			kind = size
		}
		r.Burst, err = number(kind, burst)
	}
	switch {
	case err != nil || !perSecond:
		return r, fmt.Errorf("want %s", k.wanted())
	case r.PerSecond == 0 || r.PerSecond > maxPerSecond:
		return r, fmt.Errorf("want more than 0/s, and at most %g/s%s", maxPerSecond, k.specials())
	case hasBurst && (r.Burst == 0 || r.Burst > maxBurst):
		return r, fmt.Errorf("want a burst of 1 to %d", maxBurst)
	}
	return r, nil
}

func (k *key) formatMeter(r node.Rate) string {
	if r == (node.Rate{}) {
		return offWord
	}
	s, burst := strconv.FormatFloat(r.PerSecond, 'f', -1, 64), strconv.Itoa(r.Burst)
	if k.bytes {
		s, burst = formatSize(int(r.PerSecond)), formatSize(r.Burst)
	}
	s += "/s"
	if r.Burst != 0 {
		s += " burst " + burst
	}
	return s
}

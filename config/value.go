package config

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stoa-io/stoa/cluster/redisbroker"
	"github.com/stoa-io/stoa/node"
)

const (
	offWord  = "off"
	autoWord = "auto"
)

// units are the units of sizes, the largest first. They are powers of 1,024;
// KB and MB are refused, because programs disagree about them.
var units = []struct {
	name  string
	bytes int
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// parse returns the value of a text: one item of a list, or the whole value of
// another key. The error describes the values that the key accepts.
func (k *key) parse(s string) (any, error) {
	switch {
	case k.off != "" && s == offWord && k.kind == meter:
		return node.Rate{}, nil
	case k.off != "" && s == offWord:
		return k.number(-1), nil
	case k.auto != "" && s == autoWord:
		return k.number(0), nil
	}
	switch k.kind {
	case text, texts:
		if strings.ContainsAny(s, "\x00\r\n") {
			return nil, errors.New("want one line")
		}
		return s, nil
	case truth:
		if s != "true" && s != "false" {
			return nil, errors.New("want true or false")
		}
		return s == "true", nil
	case choice, choices:
		if !slices.Contains(k.enum, s) {
			return nil, fmt.Errorf("want %s", alternatives(k.enum))
		}
		return s, nil
	case meter:
		return k.parseMeter(s)
	}
	positive, negative := strings.CutPrefix(s, "-")
	n, err := number(k.kind, positive)
	if err != nil {
		return nil, fmt.Errorf("want %s", k.wanted())
	}
	if negative || n < k.minimum || k.maximum != 0 && n > k.maximum {
		return nil, fmt.Errorf("want %s", k.bounds())
	}
	return k.number(n), nil
}

// number returns n in the type of the field.
func (k *key) number(n int) any {
	if k.kind == duration {
		return time.Duration(n)
	}
	return n
}

// number parses a number with the unit that its kind needs. A number above the
// range of int is an error.
func number(kind kind, s string) (int, error) {
	switch kind {
	case size:
		for _, unit := range units {
			if factor, ok := strings.CutSuffix(s, unit.name); ok {
				return product(factor, unit.bytes)
			}
		}
		return 0, errors.New("no unit")
	case duration:
		if s == "0" {
			return 0, errors.New("no unit")
		}
		d, err := time.ParseDuration(s)
		return int(d), err
	case rate:
		factor, ok := strings.CutSuffix(s, "/s")
		if !ok {
			return 0, errors.New("no unit")
		}
		return product(factor, 1)
	}
	return product(strings.ReplaceAll(s, "_", ""), 1)
}

// digits is a number as all versions of YAML read it: 010 would be octal.
const digits = `(0|[1-9][0-9]*)`

var onlyDigits = regexp.MustCompile(`^` + digits + `$`)

var errNumber = errors.New("no number")

func product(factor string, unit int) (int, error) {
	if !onlyDigits.MatchString(factor) {
		return 0, errNumber
	}
	n, err := strconv.Atoi(factor)
	if err != nil || n > math.MaxInt/unit {
		return 0, errors.New("out of range")
	}
	return n * unit, nil
}

// mustNumber is for tags.
func mustNumber(kind kind, s string) int {
	n, err := number(kind, s)
	if err != nil {
		panic(fmt.Sprintf("config: %q in a tag: %v", s, err))
	}
	return n
}

// wanted describes the values of a key, for errors.
func (k *key) wanted() string {
	words := map[kind]string{
		text: "a text", texts: "a list of texts", truth: "true or false",
		count: "a whole number", size: "a size with its unit, such as 64KiB",
		duration: "a time with its unit, such as 25s", rate: "a rate such as 200/s",
		section: "a section with keys", named: "names with a section each",
	}[k.kind]
	switch k.kind {
	case choice:
		words = alternatives(k.enum)
	case meter:
		words = "a rate such as 200/s, or 200/s burst 400"
		if k.bytes {
			words = "a rate such as 64KiB/s, or 64KiB/s burst 1MiB"
		}
	case choices:
		words = "a list of " + strings.Join(k.enum, ", ")
	}
	return words + k.specials()
}

// bounds describes the range of a number.
func (k *key) bounds() string {
	low := k.format(k.number(k.minimum))
	switch {
	case k.kind == duration && k.minimum == 1:
		return "more than 0s" + k.specials()
	case k.maximum == 0:
		return low + " or more" + k.specials()
	}
	return low + " to " + k.format(k.number(k.maximum)) + k.specials()
}

// specials lists the words that a key accepts in place of a number.
func (k *key) specials() string {
	words := ""
	if k.off != "" {
		words += ", or " + offWord
	}
	if k.auto != "" {
		words += ", or " + autoWord
	}
	return words
}

func alternatives(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// split returns the items of a list in a flag or a variable: they are separated
// by commas. The URL of a group of Sentinels contains commas, too.
func (k *key) split(s string) []string {
	if k.urls {
		return redisbroker.SplitServers(s)
	}
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// parseItems returns the value of a list.
func (k *key) parseItems(items []string) ([]string, error) {
	list := make([]string, 0, len(items))
	for _, item := range items {
		value, err := k.parse(item)
		if err != nil {
			return nil, err
		}
		list = append(list, value.(string))
	}
	return list, nil
}

// parseText returns the value of any key without keys, a list included.
func (k *key) parseText(s string) (any, error) {
	if k.list() {
		return k.parseItems(k.split(s))
	}
	return k.parse(s)
}

// format returns the text of a value that is no list, as parse accepts it.
func (k *key) format(value any) string {
	n := 0
	switch v := value.(type) {
	case node.Rate:
		return k.formatMeter(v)
	case string:
		return v
	case bool:
		return strconv.FormatBool(v)
	case time.Duration:
		n = int(v)
	case int:
		n = v
	}
	switch {
	case n < 0 && k.off != "":
		return offWord
	case n == 0 && k.auto != "":
		return autoWord
	case k.kind == duration:
		return formatDuration(time.Duration(n))
	case k.kind == size:
		return formatSize(n)
	case k.kind == rate:
		return strconv.Itoa(n) + "/s"
	}
	return strconv.Itoa(n)
}

func formatSize(n int) string {
	for _, unit := range units {
		if n%unit.bytes == 0 && n != 0 {
			return strconv.Itoa(n/unit.bytes) + unit.name
		}
	}
	return strconv.Itoa(n) + "B"
}

// formatDuration leaves out the zeros of 1m0s and 1h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

package main

import (
	"os"
	"strconv"
	"strings"
)

// redact hides every URL in the arguments and in the environment variable that may
// hold a password, but for its scheme. The packages that read these URLs do
// not show them; but where a URL has come to the wrong place, say because the name
// of its flag was forgotten, the error quotes it as a whole.
func redact(line string, args []string) string {
	for _, text := range append(splitURLs(os.Getenv(redisVariable)), args...) {
		_, rest, found := strings.Cut(text, "://")
		if !found || !strings.ContainsAny(rest, "@?") {
			continue
		}
		quoted := strconv.Quote(rest)
		for _, form := range []string{rest, quoted[1 : len(quoted)-1]} {
			line = strings.ReplaceAll(line, "://"+form, "://...")
		}
	}
	return line
}

package cli

import (
	"os"
	"strconv"
	"strings"

	"github.com/stoa-io/stoa/cluster/redisbroker"
)

// redact removes URLs that may contain a password, except for their scheme. It
// covers the arguments and the environment. The packages that parse these URLs
// never quote them, but other code does if a URL is misplaced: after a
// forgotten flag name, for example.
func redact(line string, args []string) string {
	for _, text := range append(redisbroker.SplitServers(os.Getenv(RedisVariable)), args...) {
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

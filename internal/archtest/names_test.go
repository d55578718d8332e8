//go:build !race

package archtest_test

import (
	"fmt"
	"go/ast"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// retired is a name that the code does not use any more.
type retired struct {
	// old is words in lower case, as in "roll call", which an identifier or a
	// file name must not contain in this order; or a whole identifier, with an
	// equals sign in front, which tests may use in its ordinary sense; or the
	// name of a Go file, which stands for its test, too.
	old     string
	instead string
	in      string // folders, separated by spaces; empty means all
}

// server are the packages that a node consists of.
const server = "node internal/netpoll internal/engine internal/hub internal/rpc internal/taskqueue"

// retirements are the names that one thing had in the past. ARCHITECTURE.md has
// a glossary of the names that things have. Names that are ordinary words are
// retired as whole identifiers, in the packages where they had a special
// meaning.
var retirements = []retired{
	{"obey", "serve, execute", ""},
	{"command", "rpc.Request", server},
	{"said all", "onDone", server},
	{"question", "ask; rpc call, pending", "node internal client cluster cmd js/src"},
	{"questions", "asks; rpc calls", "node internal client cluster cmd js/src"},
	{"=sofar", "partial", ""},
	{"=counted", "haveCount", server},
	{"room ask", "roomCall", server},
	{"room asks", "activeRoomCalls", server},
	{"one less", "done", server},
	{"=satisfied", "answered", server},
	{"=Silent", "Answers.Missing", server},
	{"acquisition", "subscription", ""},
	{"=hears", "subscribed", ""},
	{"unhold", "release", ""},
	{"=hold", "retain", server},
	{"audience", "membersOf, group", server + " client cluster"},
	{"decider", "authorizer", ""},
	{"deliberate", "authorize", ""},
	{"deliberation", "authorizeTask", ""},
	{"asker", "responder", ""},
	{"=asking", "responder", server},
	{"errand", "task", ""},
	{"=item", "delivery, task", "node internal/hub"},
	{"item kind", "delivery, task", ""},
	{"emission", "outgoing", server},
	{"listing", "connQuery", server},
	{"runner", "taskqueue worker", server + " client"},
	{"in line", "queued", ""},
	{"handlers left", "HandlersRunningError", ""},
	{"mailbox", "backlog (node), queue (js)", ""},
	{"letter", "message", server},
	{"mail", "message, backlog", server},
	{"must wait", "pauseIfCongested", ""},
	{"held", "paused", "node internal/engine internal/hub"},
	{"linger", "deferClose, UnsubscribeDelay", "node internal/engine internal/hub cluster"},
	{"=handed", "yieldSoon", ""},
	{"=hand", "dispatch", server},
	{"=handled", "ensureHandle", server},
	{"tell", "notify", server},
	{"=place", "slotRef (hub), scope (client), destination (cmd), newNamespace (js)", server + " client cmd/stoa js/src"},
	{"=places", "destination", server + " client cmd/stoa js/src"},
	{"=member", "nsconn, nsRef, peerNode, clusterNode", "node internal/hub client cluster cmd/stoa"},
	{"=secret", "nonce", server},
	{"new secret", "NewNonce", server},
	{"=clientAsk", "relayedCall", server},
	{"=_place", "_newNamespace", "js/src"},
	{"transport stream", "TransportBlocking", ""},
	{"stream", "blocking", server},
	{"typed emit", "OnEmit", ""},
	{"typed ask", "OnAsk", ""},
	{"ask typed", "Ask", ""},
	{"emit typed", "Emit", ""},
	{"configure", "NamespaceOptions", "node"},
	{"=Reached", "CountingPublisher", "cluster"},
	{"=instant", "syncSubscriber", "cluster"},
	{"=table", "shrinkingMap", "cluster"},
	{"=stamp", "header", "cluster"},
	{"=doubt", "suspect", "cluster"},
	{"give up", "abandon", "cluster"},
	{"=revive", "recover", "cluster"},
	{"=link", "transport", "client js/src"},
	{"=again", "restore", "client"},
	{"=above", "overLimit", "client"},
	{"=calling", "responder", "client"},
	{"=callers", "responders", "client"},
	{"=Others", "DefaultHandlers", "client"},
	{"dialogue", "conversation", "cmd/stoa"},
	{"outbox", "sendBuffer", "js/src"},
	{"=bounded", "withTimeout", "js/src"},
	{"=_tell", "_emitEvent", "js/src"},
	{"=_about", "_message", "js/src"},
	{"ask everybody", "AskAll", ""},
	{"roll call", "probePeers", ""},
	{"loop timers", "sweep", ""},
	{"silence watch", "watchdog", "cluster"},
	{"neffosgo", "compat", ""},

	{"obey.go", "serve.go", server},
	{"reach.go", "remote.go", server},
	{"hold.go", "subscribe.go", server},
	{"decide.go", "authorize.go", server},
	{"ask.go", "hub/ask.go", "node"},
	{"declare.go", "namespace.go", server},
	{"hooks.go", "handlers.go", server},
	{"list.go", "conns.go", server},
	{"work.go", "tasks.go", server},
	{"admission.go", "accept.go", server},
	{"mount.go", "engine/handover.go, node/http.go", server},
	{"handle.go", "conn.go, nsconn.go, room.go, mirror.go", "node"},
	{"client_shown.go", "sanitize.go", "cmd/stoa"},
	{"redis_silence.go", "watchdog.go", "cluster"},
	{"link.go", "transport.go", "client"},
	{"registry.go", "membership.go", "client"},
	{"member.go", "clusternode.go", "cmd/stoa"},
	{"connect_human.go", "format_text.go", "cmd/stoa"},
	{"connect_record.go", "format_json.go", "cmd/stoa"},
}

func TestRetiredNamesAreGone(t *testing.T) {
	uses := make(map[string]map[string]bool) // by the retired name: where it is used
	checked := make(map[[2]string]bool)      // where, name
	check := func(dir, where, name string, test bool) {
		if checked[[2]string{where, name}] {
			return
		}
		checked[[2]string{where, name}] = true
		words := splitWords(name)
		for _, r := range retirements {
			if !r.matches(name, words, test) || !r.covers(dir) { // in the order of their cost
				continue
			}
			if uses[r.old] == nil {
				uses[r.old] = make(map[string]bool)
			}
			uses[r.old][fmt.Sprintf("%s has %s, now %s", where, name, r.instead)] = true
		}
	}
	for _, s := range sources(t) {
		if strings.HasPrefix(s.Dir, "internal/arch") {
			continue
		}
		check(s.Dir, "the file "+s.Path, path.Base(s.Path), s.Test)
		ast.Inspect(s.File, func(node ast.Node) bool {
			if name, ok := node.(*ast.Ident); ok {
				check(s.Dir, s.Path, name.Name, s.Test)
			}
			return true
		})
	}
	for _, f := range files(t, ".ts", ".js") {
		test := strings.Contains(f.path, "test")
		check(path.Dir(f.path), "the file "+f.path, path.Base(f.path), test)
		for _, name := range scriptNames(f.text) {
			check(path.Dir(f.path), f.path, name, test)
		}
	}
	for _, old := range slices.Sorted(maps.Keys(uses)) {
		for _, use := range slices.Sorted(maps.Keys(uses[old])) {
			t.Errorf("%q is retired: %s", old, use)
		}
	}
}

// covers reports whether the name is retired in a folder.
func (r retired) covers(dir string) bool {
	return r.in == "" || slices.ContainsFunc(strings.Fields(r.in), func(folder string) bool {
		return dir == folder || strings.HasPrefix(dir, folder+"/")
	})
}

// taken are identifiers of other modules.
var taken = []string{"SetLinger", "SO_LINGER", "SOL_LINGER", "SOCK_STREAM", "Command", "MaskFrameInPlaceWith"}

func (r retired) matches(name, words string, test bool) bool {
	if strings.HasSuffix(r.old, ".go") {
		return strings.Replace(name, "_test.go", ".go", 1) == r.old
	}
	if slices.Contains(taken, name) {
		return false
	}
	if whole, ok := strings.CutPrefix(r.old, "="); ok {
		return name == whole && !test
	}
	return strings.Contains(words, r.old) && strings.Contains(words, " "+r.old+" ")
}

// splitWords returns the words of an identifier or a file name in lower case,
// with a space around each.
func splitWords(name string) string {
	var words strings.Builder
	words.WriteByte(' ')
	previous := ' '
	for _, r := range name {
		switch {
		case !unicode.IsLetter(r):
			r = ' '
		case unicode.IsUpper(r) && unicode.IsLower(previous):
			words.WriteByte(' ')
		}
		words.WriteRune(unicode.ToLower(r))
		previous = r
	}
	words.WriteByte(' ')
	return words.String()
}

var (
	scriptText = regexp.MustCompile("(?s)/\\*.*?\\*/|//[^\n]*|'(?:[^'\\\\\n]|\\\\.)*'|\"(?:[^\"\\\\\n]|\\\\.)*\"|`(?:[^`\\\\]|\\\\.)*`")
	scriptName = regexp.MustCompile(`[A-Za-z_$][A-Za-z0-9_$]*`)
)

// scriptNames returns the identifiers of a TypeScript or JavaScript file, with
// its keywords.
func scriptNames(text string) []string {
	return scriptName.FindAllString(scriptText.ReplaceAllString(text, " "), -1)
}

func TestSplitWords(t *testing.T) {
	for name, want := range map[string]string{
		"roll_call.go": " roll call go ", "answerRollCall": " answer roll call ", "flagHeld": " flag held ",
		"HTTPServer": " httpserver ", "id2": " id  ",
	} {
		if got := splitWords(name); got != want {
			t.Errorf("splitWords(%q) = %q, want %q", name, got, want)
		}
	}
}

package main

import (
	"context"
	"embed"
	"encoding/json"
	"flag"
	"io/fs"
	"log"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/stoa-io/stoa/access"
	"github.com/stoa-io/stoa/codec"
	"github.com/stoa-io/stoa/examples/internal/run"
	"github.com/stoa-io/stoa/node"
	"github.com/stoa-io/stoa/ops"
)

const (
	namespace = "board"
	maxName   = 40
	maxNotes  = 500 // and versions of notes, per board
)

//go:embed page
var page embed.FS

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "address to listen on")
	flag.Parse()
	n, err := newNode()
	if err != nil {
		log.Fatal(err)
	}
	run.ServePage(run.Context(), n, *listen, "/ws?name=Ada")
}

func newNode() (*node.Node, error) {
	files, err := fs.Sub(page, "page")
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	n, err := node.New(node.Config{HTTP: mux})
	if err != nil {
		return nil, err
	}
	mux.Handle("/", secured(http.FileServerFS(files)))
	ops.Mount(mux, n, ops.Options{Public: true}) // /stoa.js, the client for browsers

	// The members of a room see users. This handler trusts the name in the URL;
	// examples/tokens checks a token.
	n.OnAccept(func(_ context.Context, a *node.Accept) error {
		name := strings.TrimSpace(a.Request.URL.Query().Get("name"))
		if name == "" || len(name) > maxName || !utf8.ValidString(name) {
			return node.Refuse(http.StatusBadRequest, "want a name of 1 to 40 bytes")
		}
		a.Identity = access.Identity{User: name}
		return nil
	})

	board := n.Namespace(namespace, node.NamespaceOptions{
		Relay:      node.RelayRooms,
		Rooms:      node.RoomNames{MaxLength: 40, Pattern: "[a-z0-9-]+"},
		MaxMessage: 4 << 10,
		History:    node.HistoryOptions{Messages: maxNotes, Age: node.MaxHistoryAge},
		Presence:   node.PresenceRoster,
	})
	node.OnAsk(board, "remove", codec.JSON{}, func(ctx context.Context, r *node.AskRequest, which removal) (int, error) {
		return remove(ctx, n, r.Room, which)
	})
	return n, nil
}

// removal names a note, and the position of a version that stays with all
// later ones.
type removal struct {
	ID   string        `json:"id"`
	Keep node.Position `json:"keep"`
}

// remove removes the versions of a note from the history of a room, and returns
// how many there were. Every member may do that. A rule would compare the User
// of an entry, which the node knows, with that of the request.
func remove(ctx context.Context, n *node.Node, room string, which removal) (int, error) {
	board, err := n.History(ctx, namespace, room, node.HistoryQuery{Limit: maxNotes})
	if err != nil {
		return 0, err
	}
	removed := 0
	for _, entry := range board.Entries {
		if which.Keep != "" && entry.Position == which.Keep {
			break
		}
		var note struct {
			ID string `json:"id"`
		}
		// Members emit any body that they like.
		if json.Unmarshal(entry.Body, &note) != nil || note.ID != which.ID {
			continue
		}
		// All members receive notice of it.
		if _, err := n.RemoveFromHistory(ctx, namespace, room, entry.Position); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// secured allows the page nothing but its own files and server.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", "default-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'")
		next.ServeHTTP(w, r)
	})
}

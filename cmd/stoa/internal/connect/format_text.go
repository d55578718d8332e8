package connect

import (
	"fmt"
	"strings"
	"time"

	"github.com/stoa-io/stoa/client"
	"github.com/stoa-io/stoa/cmd/stoa/internal/cli"
)

// maxDisplayedBody bounds the bytes of a body in text: about one screen.
const maxDisplayedBody = 4 << 10

// style is a graphic rendition of ECMA-48.
type style string

const (
	styleDestination style = "36"   // cyan
	styleEvent       style = "1;32" // bold green
	styleDetail      style = "2"    // faint
	styleState       style = "33"   // yellow
	styleError       style = "31"   // red
)

// textFormat turns records into lines of text, with or without colors.
type textFormat struct{ color bool }

func (f textFormat) paint(s style, text string) string {
	if !f.color || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// format returns the line with its line break.
func (f textFormat) format(r record) []byte {
	return []byte(f.paint(styleDetail, r.Time.Format("15:04:05.000")) + " " + f.text(&r) + "\n")
}

func (f textFormat) text(r *record) string {
	body := cli.SanitizeBody(r.body, r.Binary, maxDisplayedBody)
	switch r.Type {
	case recordMessage:
		return f.message(r, body)
	case recordAsk:
		return f.message(r, body) + f.paint(styleDetail, " (an ask; answered with: "+cli.Sanitize(r.Error)+")")
	case recordNative:
		return f.paint(styleDestination, "native") + " " + body
	case recordAnswer:
		return f.paint(styleDetail, fmt.Sprintf("answer after %.2f ms:", r.Took)) + " " + body
	case recordState:
		return f.paint(styleState, "* "+stateText(r))
	case recordConnected:
		return f.paint(styleState, "* connected to "+r.destination().String())
	case recordDisconnected:
		return f.paint(styleState, "* disconnected from "+r.destination().String()+because(r.Error))
	case recordJoined:
		return f.paint(styleState, "* joined "+r.destination().String())
	case recordLeft:
		return f.paint(styleState, "* left "+r.destination().String()+because(r.Error))
	case recordStatus:
		return fmt.Sprintf("%s, ID %s; %s", r.State, cli.SanitizeName(r.ID), membershipsText(r.Namespaces))
	case recordRooms:
		return membershipsText(r.Namespaces)
	case recordError:
		return f.paint(styleError, cli.Sanitize(r.Error))
	}
	return string(r.Type)
}

func (f textFormat) message(r *record, body string) string {
	to, event := f.paint(styleDestination, r.destination().String()), f.paint(styleEvent, cli.SanitizeName(r.Event))
	return strings.TrimRight(to+" "+event+" "+body, " ")
}

// stateText describes the state of the connection.
func stateText(r *record) string {
	next := ""
	if r.Delay != nil {
		next = fmt.Sprintf("; attempt %d in %v", r.Attempt, (time.Duration(*r.Delay) * time.Millisecond).String())
	}
	switch {
	case r.State == client.StateConnected.String() && r.again:
		text := "reconnected, ID " + cli.SanitizeName(r.ID)
		if len(r.Namespaces) > 0 {
			text += ", again in " + membershipsText(r.Namespaces)
		}
		return text
	case r.State == client.StateConnected.String():
		return "connected, ID " + cli.SanitizeName(r.ID)
	case r.State == client.StateClosed.String():
		return "closed" + because(r.Error)
	case r.again:
		return "not connected" + because(r.Error) + next
	}
	return "connection lost" + because(r.Error) + next
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + cli.Sanitize(reason)
}

// membershipsText lists namespaces and rooms in one line.
func membershipsText(all []membership) string {
	if len(all) == 0 {
		return "no namespace"
	}
	texts := make([]string, len(all))
	for i, m := range all {
		rooms := make([]string, len(m.Rooms))
		for j, room := range m.Rooms {
			rooms[j] = cli.SanitizeName(room)
		}
		texts[i] = cli.SanitizeName(m.Namespace) + ": " + strings.Join(rooms, " ")
		if len(rooms) == 0 {
			texts[i] += "no room"
		}
	}
	return strings.Join(texts, "; ")
}

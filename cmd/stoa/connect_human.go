package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/stoa-io/stoa/client"
)

// maxShownBody is how much of a body people see, in bytes: a screen full.
const maxShownBody = 4 << 10

// style is a way to write on a terminal (ECMA-48, "select graphic rendition").
type style string

const (
	stylePlace style = "36"   // cyan
	styleEvent style = "1;32" // bold green
	styleQuiet style = "2"    // faint
	styleState style = "33"   // yellow
	styleError style = "31"   // red
)

// human writes records for people: one line each, in colours or without.
type human struct{ colours bool }

func (h human) paint(s style, text string) string {
	if !h.colours || text == "" {
		return text
	}
	return "\x1b[" + string(s) + "m" + text + "\x1b[0m"
}

// line is the record with a line break.
func (h human) line(r record) []byte {
	return []byte(h.paint(styleQuiet, r.Time.Format("15:04:05.000")) + " " + h.text(&r) + "\n")
}

func (h human) text(r *record) string {
	body := shownBody(r.body, r.Binary, maxShownBody)
	switch r.Type {
	case recordMessage:
		return h.message(r, body)
	case recordQuestion:
		return h.message(r, body) + h.paint(styleQuiet, " (a question; answered with: "+shownError(r.Error)+")")
	case recordNative:
		return h.paint(stylePlace, "native") + " " + body
	case recordAnswer:
		return h.paint(styleQuiet, fmt.Sprintf("answer after %.2f ms:", r.Took)) + " " + body
	case recordState:
		return h.paint(styleState, "* "+stateText(r))
	case recordConnected:
		return h.paint(styleState, "* connected to "+r.place().String())
	case recordDisconnected:
		return h.paint(styleState, "* disconnected from "+r.place().String()+because(r.Error))
	case recordJoined:
		return h.paint(styleState, "* joined "+r.place().String())
	case recordLeft:
		return h.paint(styleState, "* left "+r.place().String()+because(r.Error))
	case recordStatus:
		return fmt.Sprintf("%s, ID %s; %s", r.State, shownName(r.ID), memberships(r.Namespaces))
	case recordRooms:
		return memberships(r.Namespaces)
	case recordError:
		return h.paint(styleError, shownError(r.Error))
	}
	return string(r.Type)
}

func (h human) message(r *record, body string) string {
	return strings.TrimRight(h.paint(stylePlace, r.place().String())+" "+h.paint(styleEvent, shownName(r.Event))+" "+body, " ")
}

// stateText says what has become of the connection.
func stateText(r *record) string {
	next := ""
	if r.Delay != nil {
		next = fmt.Sprintf("; attempt %d in %v", r.Attempt, (time.Duration(*r.Delay) * time.Millisecond).String())
	}
	switch {
	case r.State == client.StateConnected.String() && r.again:
		return "back, ID " + shownName(r.ID)
	case r.State == client.StateConnected.String():
		return "connected, ID " + shownName(r.ID)
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
	return ": " + shownError(reason)
}

// memberships lists namespaces and rooms in one line.
func memberships(all []membership) string {
	if len(all) == 0 {
		return "no namespace"
	}
	texts := make([]string, len(all))
	for i, one := range all {
		rooms := make([]string, len(one.Rooms))
		for j, room := range one.Rooms {
			rooms[j] = shownName(room)
		}
		texts[i] = shownName(one.Namespace) + ": " + strings.Join(rooms, " ")
		if len(rooms) == 0 {
			texts[i] += "no room"
		}
	}
	return strings.Join(texts, "; ")
}

package hostile_test

import (
	"fmt"
	"io"
	"strings"
)

// The attacks on rooms that keep messages and show their members.

// kept returns a connection in a room of its own, and in a namespace whose
// rooms keep messages and show their members.
func kept(a *arena, number int) (p *peer, room string) {
	room = fmt.Sprint("own ", number)
	p = join(a.t, a.node, room)
	p.connect(a.t, "kept")
	return p, room
}

// joinKept joins a room of that namespace.
func (p *peer) joinKept(a *arena, room string) {
	p.send(a.t, "$j;kept;"+room+";_OnRoomJoin;0;0;")
	p.next(a.t)
}

// historyReads reads the largest pages of a history, as many as it can.
func historyReads(a *arena, number int) *hostile {
	p, room := kept(a, number)
	p.joinKept(a, room)
	for range 100 {
		p.send(a.t, ";kept;"+room+";e;0;0;"+strings.Repeat("x", 1_000))
	}
	return repeat(p, textFrame("$1;kept;"+room+`;_OnHistory;0;0;{"limit":1000,"oldest":true}`), 100)
}

// keptRooms says something in one room after the other.
func keptRooms(a *arena, number int) *hostile {
	p, _ := kept(a, number)
	const last = "$last;default;;nothing;0;0;"
	next, text := 0, strings.Repeat("x", 2_000)
	return &hostile{
		close: func() { _ = p.conn.Close() },
		strike: func() error {
			var data []byte
			for range 100 {
				room := fmt.Sprintf("kept %d of %d", next, number)
				data = append(data, textFrame("$j;kept;"+room+";_OnRoomJoin;0;0;")...)
				data = append(data, textFrame(";kept;"+room+";e;0;0;"+text)...)
				data = append(data, textFrame("$l;kept;"+room+";_OnRoomLeave;0;0;")...)
				next++
			}
			if _, err := p.conn.Write(append(data, textFrame(last)...)); err != nil {
				return err
			}
			return p.skipTo("$last;")
		},
	}
}

// forgedPositions leaves, and joins at positions that the node has not given
// out.
func forgedPositions(a *arena, number int) *hostile {
	p, room := kept(a, number)
	p.joinKept(a, room)
	p.send(a.t, ";kept;"+room+";e;0;0;message")
	var data []byte
	for i, position := range []string{
		"AAAAAAAAAAAB", "__________8B", "__________-AgICAgICAgIAB", "",
	} {
		data = append(data, textFrame(fmt.Sprintf("$l%d;kept;%s;_OnRoomLeave;0;0;", i, room))...)
		data = append(data, textFrame(fmt.Sprintf("$r%d;kept;%s;_OnRoomRecover;0;0;%s,999999999,%s;", i, room, position, p.id))...)
	}
	return repeat(p, data, 20)
}

// comeAndGo joins and leaves a room whose members are shown every change, a
// thousand times a second and more.
func comeAndGo(a *arena, number int) *hostile {
	for range 10 {
		member, err := openAs(a.node, "M presence")
		if err != nil {
			a.t.Fatal(err)
		}
		a.t.Cleanup(func() { _ = member.conn.Close() })
		member.connect(a.t, "kept")
		member.joinKept(a, "crowd")
		go func() { _, _ = io.Copy(io.Discard, member.in) }()
	}
	p, _ := kept(a, number)
	join := textFrame("$j;kept;crowd;_OnRoomJoin;0;0;")
	leave := textFrame("$l;kept;crowd;_OnRoomLeave;0;0;")
	return repeat(p, append(join, leave...), 100)
}

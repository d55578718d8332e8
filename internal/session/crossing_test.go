package session_test

import (
	"testing"

	"github.com/stoa-io/stoa/internal/session"
	"github.com/stoa-io/stoa/wire"
)

// Asks that cross on their way: each step is an ask of one side ("s" or "c"
// with the ask), a canceled ask ("!") or the delivery of one message (">s",
// ">c"). In the end both sides must agree.
func TestCrossingAsks(t *testing.T) {
	tests := map[string]struct {
		steps []string
		want  string
	}{
		"both connect":                        {[]string{"s connect", "c connect"}, "map[a:map[]]"},
		"both join":                           {[]string{"c connect", ".", "s join", "c join"}, "map[a:map[x:true]]"},
		"both leave":                          {[]string{"c connect", ".", "c join", ".", "s leave", "c leave"}, "map[a:map[]]"},
		"both disconnect":                     {[]string{"c connect", ".", "c join", ".", "s disconnect", "c disconnect"}, "map[]"},
		"join while being disconnected":       {[]string{"c connect", ".", "s disconnect", "c join"}, "map[]"},
		"second leave crosses a join":         {[]string{"c connect", ".", "c join", ".", "c leave", "c leave", ">s", "s join"}, "map[a:map[]]"},
		"second join crosses a leave":         {[]string{"c connect", ".", "c join", "c join", ">s", "s leave"}, "map[a:map[]]"},
		"second disconnect crosses a connect": {[]string{"c connect", ".", "c disconnect", "c disconnect", ">s", "s connect"}, "map[]"},
		"second connect crosses a disconnect": {[]string{"c connect", "c connect", ">s", "s disconnect"}, "map[]"},
		"late connect is undone":              {[]string{"s connect", "s!"}, "map[]"},
		"late join is undone":                 {[]string{"s connect", ".", "s join", "s!"}, "map[a:map[]]"},
		"late leave is followed":              {[]string{"s connect", ".", "s join", ".", "s leave", "s!"}, "map[a:map[]]"},
		"late disconnect is followed":         {[]string{"s connect", ".", "s join", ".", "s disconnect", "s!"}, "map[]"},
		"late connect that is asked again":    {[]string{"s connect", "s!", "s connect"}, "map[a:map[]]"},
		"late join that is asked again":       {[]string{"s connect", ".", "s join", "s!", "s join"}, "map[a:map[x:true]]"},
		"forced leave":                        {[]string{"c connect", ".", "c join", ".", "s force leave"}, "map[a:map[]]"},
		"forced leave crosses a leave":        {[]string{"c connect", ".", "c join", ".", "s force leave", "c leave"}, "map[a:map[]]"},
		"forced leave crosses a disconnect":   {[]string{"c connect", ".", "c join", ".", "s force leave", "c disconnect", ">s", ".", "c connect", ".", "c join"}, "map[a:map[x:true]]"},
		"forced disconnect":                   {[]string{"c connect", ".", "c join", ".", "s force disconnect"}, "map[]"},
		"forced disconnect crosses a join":    {[]string{"c connect", ".", "s force disconnect", "c join"}, "map[]"},
		"forced disconnect before a connect":  {[]string{"c connect", ".", "c join", ".", "s force disconnect", "s connect"}, "map[a:map[]]"},
		"late join of an old namespace":       {[]string{"s connect", ".", "s join", "s!", "c disconnect", ".", "c connect"}, "map[a:map[]]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			m := newModel(t, 0)
			m.obliging = true
			for _, step := range test.steps {
				m.follow(step)
			}
			m.settle()
			m.compare()
			if got := m.sides[0].state(); got != test.want {
				t.Errorf("the server is in %s, want %s", got, test.want)
			}
			m.close()
		})
	}
}

func (m *model) follow(step string) {
	server, client := m.sides[0], m.sides[1]
	switch step {
	case ".":
		m.settle()
	case ">s":
		server.deliver()
	case ">c":
		client.deliver()
	case "s!":
		if !server.session.Cancel(server.given[len(server.given)-1], wire.ErrTimeout) {
			m.t.Errorf("%s: nothing to cancel", step)
		}
	default:
		s := server
		if step[0] == 'c' {
			s = client
		}
		s.ask(step[2:])
	}
}

func (s *side) ask(what string) {
	namespace, room := s.session.Namespace([]byte("a")), &place{name: "x"}
	var id uint64
	var err error
	switch what {
	case session.Connect.String():
		id, err = s.session.AskConnect(&place{name: "a"}, nil)
	case session.Disconnect.String():
		id, err = s.session.AskDisconnect(namespace)
	case "force leave":
		id, err = s.session.ForceLeave(namespace, room)
	case "force disconnect":
		id, err = s.session.ForceDisconnect(namespace)
	case session.Join.String():
		id, err = s.session.AskJoin(namespace, room, nil)
	case session.Leave.String():
		id, err = s.session.AskLeave(namespace, room)
	}
	if err != nil {
		s.model.t.Errorf("%s asks to %s: %v", s.name, what, err)
	}
	s.given = append(s.given, id)
	s.asks[id] += 0
}

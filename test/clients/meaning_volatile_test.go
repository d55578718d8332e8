package clients_test

// volatileScenes are those of emits that are worth nothing when they are late.
func volatileScenes() []scene {
	connected := []string{"connected"}
	return []scene{
		{
			name: "volatile emits", query: "volatile=1",
			role:  role{Acts: after("volatile a r typing", "emit a e 1", "volatile a r ty;ping", "volatile a r _OnRoomLeave", "ask a e x")},
			want:  performance{Results: results("volatile: true", "emit: true", "volatile: true", "volatile: false", "ask: x"), States: connected, Calls: inRoom},
			emits: []string{"volatile r typing x", "e 1", "volatile r ty;ping x"},
		},
		{
			name:  "volatile emits to a server that does not know them",
			role:  role{Acts: after("volatile a r typing", "ask a e x")},
			want:  performance{Results: results("volatile: true", "ask: x"), States: connected, Calls: inRoom},
			emits: []string{"typing x"},
		},
		{
			name: "volatile emits to a server with positions", query: "volatile=1&recover=0+p1+0",
			role:  role{Acts: after("volatile a r typing", "ask a e x")},
			want:  performance{Results: results("volatile: true", "ask: x"), States: connected, Calls: inRoom},
			emits: []string{"r ,0,;", "volatile r typing x"},
		},
		{
			name: "volatile emits without a connection", query: "volatile=1,&status=101,503,503,101",
			role: role{Base: 300, Cap: 300, Acts: after("emit a cut", "await reconnecting", "volatile a r typing", "emit a e 1", "await connected", "volatile a r typing", "ask a e x")},
			want: performance{
				Results: results("emit: true", "volatile: true", "emit: true", "volatile: true", "ask: x"),
				States:  []string{"connected", lostOne, "connected"}, Calls: inRoom,
			},
			emits: []string{"e 1", "typing x"},
		},
	}
}

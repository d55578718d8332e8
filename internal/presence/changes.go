package presence

// Changes are those that the members of the room are shown together.
type Changes struct {
	Joined []Member
	Left   []string // keys
	Count  int
}

// Changes returns the changes that are due, nil if none is; due is when to call
// it again, 0 if nothing has changed.
func (r *Roster) Changes(now int64) (c *Changes, due int64) {
	if len(r.changes) == 0 {
		r.changes = nil // a map keeps the memory of the most that was in it
		return nil, 0
	}
	if r.shown != 0 && now < r.shown+r.interval {
		return nil, r.shown + r.interval
	}
	c = new(Changes)
	b := batch{limit: maxShown}
	for key, changed := range r.changes {
		switch {
		case b.isFull():
		case !changed.was:
			m := r.Member(key)
			b.add(&m)
			c.Joined = append(c.Joined, m)
			r.forget(key, changed)
		case now >= changed.at+r.grace:
			b.add(&Member{Key: key})
			c.Left = append(c.Left, key)
			r.forget(key, changed)
			r.place(key, false)
		case due == 0 || changed.at+r.grace < due:
			due = changed.at + r.grace
		}
	}
	if len(c.Joined)+len(c.Left) == 0 {
		return nil, due
	}
	r.shown, c.Count = now, r.Count()
	if len(r.changes) > 0 {
		due = max(due, now+r.interval)
	} else {
		r.changes = nil
	}
	return c, due
}

// A WebSocket and a clock under the control of a test.

/** Runs all pending microtasks and immediates. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

/** Makes a WebSocket class whose sockets are driven by the test. */
export function fakeWebSocket() {
  return class FakeWebSocket {
    static sockets = [];
    /** The newest socket. */
    static get last() {
      return FakeWebSocket.sockets.at(-1);
    }

    readyState = 0;
    sent = [];
    closedWith = undefined;
    onopen = null;
    onmessage = null;
    onclose = null;
    onerror = null;

    constructor(url, protocols) {
      this.url = url;
      this.protocols = protocols;
      FakeWebSocket.sockets.push(this);
    }

    send(payload) {
      if (this.readyState !== 1) throw new Error("send on a socket that is not open");
      this.sent.push(payload);
    }

    close(code, reason) {
      this.closedWith ??= [code, reason];
      this.readyState = 3;
    }

    open() {
      this.readyState = 1;
      this.onopen?.({});
    }

    /** Opens and acknowledges. */
    accept(id = "id") {
      this.open();
      this.receive(`A${id}`);
    }

    receive(payload) {
      const data = typeof payload === "string" ? payload : new Uint8Array(payload).buffer;
      this.onmessage?.({ data });
    }

    /** Closes the connection from the side of the server. */
    drop(code = 1006, reason = "") {
      this.readyState = 3;
      this.onerror?.({});
      this.onclose?.({ code, reason });
    }

    /** Removes and returns the sent payloads. */
    take() {
      return this.sent.splice(0);
    }

    /** Answers all sent asks with the result of answer; default: empty. */
    answerAll(answer = ([token]) => `${token};;;;;;`) {
      for (const payload of this.take()) {
        const fields = String(payload).split(";");
        if (fields.length > 6 && fields[0]) this.receive(answer(fields));
      }
    }
  };
}

/** A clock that only advance moves; random returns chance. */
export function fakeClock() {
  let now = 0;
  const timers = new Set();
  return {
    chance: 1,
    random() {
      return this.chance;
    },
    now() {
      return now;
    },
    setTimeout(run, milliseconds) {
      const timer = { run, at: now + milliseconds };
      timers.add(timer);
      return timer;
    },
    clearTimeout(timer) {
      timers.delete(timer);
    },
    /** The number of running timers. */
    get running() {
      return timers.size;
    },
    /** Lets time pass while the process is suspended: no timer runs. */
    suspend(milliseconds) {
      now += milliseconds;
    },
    async advance(milliseconds) {
      const end = now + milliseconds;
      for (;;) {
        const next = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        now = Math.max(now, next.at);
        timers.delete(next);
        next.run();
        await settle();
      }
      now = end;
      await settle();
    },
  };
}

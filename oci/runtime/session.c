// SPDX-License-Identifier: Apache-2.0
#include "oci/runtime/session.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "oci/runtime/agent.h"
#include "oci/runtime/claim.h"
#include "oci/runtime/running.h"
#include "oci/runtime/signals.h"
#include "oci/runtime/streams.h"
#include "oci/runtime/timings.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define EXIT_OURS 125

/* So long after the exit the guest's last output must have come, unless we are the slow ones. */
#define DRAIN_PATIENCE_MS 10000
#define STOP_PATIENCE_MS 2000
/* A container whose terminal is gone may put its affairs in order. */
#define HANGUP_PATIENCE_MS 10000
#define INTERRUPTS 3
#define INTERRUPT_WINDOW_MS 2000

struct session {
	const struct session_config *config;
	struct loop loop;
	struct signals signals;
	struct loop_source signal_source;
	struct machine machine;
	struct loop_source machine_source;
	struct agent agent;
	struct container_spec container;
	struct claim claim;
	char id[CONTAINER_ID_LEN + 1];
	struct streams streams;
	bool machine_gone;
	bool abandoned; /* end now: status is set */
	int status;
	uint64_t interrupts_ms[INTERRUPTS]; /* when the last ones came, newest first */
	uint64_t progress_bytes;
	uint64_t drain_deadline_ms; /* for the end of the output, once it is due; UINT64_MAX before */
	uint64_t hangup_deadline_ms; /* for the container, once its terminal is gone; UINT64_MAX before */
	struct timings timings;
};

/* ---- signals ---- */

static void session_abandon(struct session *s, int status)
{
	s->abandoned = true;
	s->status = status;
}

/* True for the last of three within the window: whoever insists like that wants out. */
static bool interrupts_insist(struct session *s)
{
	uint64_t now_ms = clock_now_ms();

	for (int i = INTERRUPTS - 1; i > 0; i--)
		s->interrupts_ms[i] = s->interrupts_ms[i - 1];
	s->interrupts_ms[0] = now_ms;
	return s->interrupts_ms[INTERRUPTS - 1] &&
	       now_ms - s->interrupts_ms[INTERRUPTS - 1] <= INTERRUPT_WINDOW_MS;
}

static void send_size(struct session *s)
{
	uint16_t rows, columns;

	if (s->agent.state != AGENT_RUNNING || !s->config->container->terminal)
		return;
	if (terminal_size(STDIN_FILENO, &rows, &columns) || terminal_size(STDOUT_FILENO, &rows, &columns))
		agent_resize(&s->agent, rows, columns);
}

static void on_end_signal(struct session *s, int signal)
{
	if (s->agent.state != AGENT_RUNNING) {
		/* Nothing runs yet that could answer, or nothing any more: the user does not have to wait. */
		session_abandon(s, 128 + signal);
		return;
	}
	if ((signal == SIGINT || signal == SIGTERM) && interrupts_insist(s)) {
		log_warn("the container was killed after %d interrupts", INTERRUPTS);
		session_abandon(s, 128 + SIGKILL);
		return;
	}
	agent_signal(&s->agent, signal == SIGTERM ? s->container.stop_signal : signal);
}

static void on_signal(struct loop_source *source, uint32_t events)
{
	struct session *s = source->ctx;
	int signal = signals_next(&s->signals);

	(void)events;
	switch (signal) {
	case 0:
		break;
	case SIGHUP:
	case SIGINT:
	case SIGQUIT:
	case SIGTERM:
		on_end_signal(s, signal);
		break;
	case SIGCONT:
		/* Whoever was in the foreground meanwhile may have changed the terminal. */
		if (s->streams.terminal.fd >= 0)
			terminal_make_raw(&s->streams.terminal, STDIN_FILENO);
		send_size(s);
		break;
	case SIGWINCH:
		send_size(s);
		break;
	default:
		if (s->agent.state == AGENT_RUNNING)
			agent_signal(&s->agent, signal);
		break;
	}
}

/* ---- machine and guest ---- */

/* For those who ask about a container by its name. */
static void session_note(const struct session *s)
{
	struct running running = {.pid = getpid(),
		.monitor_pid = s->machine.jailed ? s->machine.pid : 0,
		.jail_best = s->machine.jail_best,
		.jail_reached = s->machine.jail_reached};

	memcpy(running.id, s->id, sizeof(running.id));
	running_note(&s->claim, &running);
}

static void on_machine(struct loop_source *source, uint32_t events)
{
	struct session *s = source->ctx;

	(void)events;
	if (!machine_receive(&s->machine)) {
		session_note(s);
		return;
	}
	loop_del(&s->loop, source);
	s->machine_gone = true;
}

static void on_agent(struct agent *agent, void *ctx)
{
	struct session *s = ctx;

	switch (agent->state) {
	case AGENT_BOOTING:
		break;
	case AGENT_STARTING:
		timings_stamp(&s->timings, TIMING_GUEST_UP);
		break;
	case AGENT_RUNNING:
		timings_stamp(&s->timings, TIMING_STARTED);
		/* It may have changed since the spec was written. */
		send_size(s);
		break;
	case AGENT_EXITED:
		timings_stamp(&s->timings, TIMING_EXITED);
		s->drain_deadline_ms = clock_now_ms() + DRAIN_PATIENCE_MS;
		break;
	case AGENT_FAILED:
	case AGENT_LIED:
	case AGENT_GONE:
		break;
	}
}

static bool session_over(const struct session *s)
{
	if (s->abandoned)
		return true;
	switch (s->agent.state) {
	case AGENT_BOOTING:
	case AGENT_STARTING:
	case AGENT_RUNNING:
		return false;
	case AGENT_EXITED:
		return !streams_flowing(&s->streams);
	case AGENT_GONE:
		return s->machine_gone && !streams_flowing(&s->streams);
	case AGENT_FAILED:
	case AGENT_LIED:
		return true;
	}
	return true;
}

/* When the guest has to take its next step. One whose machine is gone has none to take. */
static uint64_t guest_deadline_ms(const struct session *s)
{
	return s->machine_gone ? UINT64_MAX : agent_deadline_ms(&s->agent);
}

/* Is the time up for the guest: for its next step, or for the end of its output? */
static void session_check_time(struct session *s)
{
	uint64_t bytes = streams_bytes(&s->streams), now_ms = clock_now_ms();

	if (now_ms >= guest_deadline_ms(s)) {
		agent_expire(&s->agent);
		return;
	}
	if (now_ms >= s->hangup_deadline_ms && s->agent.state == AGENT_RUNNING) {
		session_abandon(s, 128 + SIGHUP);
		return;
	}
	if (now_ms < s->drain_deadline_ms)
		return;
	/* As long as our own reader is slow, or bytes keep coming, the guest is not late. */
	if (streams_stalled(&s->streams) || bytes != s->progress_bytes) {
		s->progress_bytes = bytes;
		s->drain_deadline_ms = now_ms + DRAIN_PATIENCE_MS;
		return;
	}
	log_warn("the guest did not close the container's output");
	streams_cut(&s->streams);
}

/* The next time at which something is to be checked. */
static uint64_t session_deadline_ms(const struct session *s)
{
	uint64_t deadline_ms = guest_deadline_ms(s);

	if (s->drain_deadline_ms < deadline_ms)
		deadline_ms = s->drain_deadline_ms;
	if (s->hangup_deadline_ms < deadline_ms && s->agent.state == AGENT_RUNNING)
		deadline_ms = s->hangup_deadline_ms;
	return deadline_ms;
}

static int session_timeout_ms(const struct session *s)
{
	uint64_t deadline_ms = session_deadline_ms(s), now_ms;

	if (deadline_ms == UINT64_MAX)
		return -1;
	now_ms = clock_now_ms();
	if (deadline_ms <= now_ms)
		return 0;
	return deadline_ms - now_ms < INT32_MAX ? (int)(deadline_ms - now_ms) : INT32_MAX;
}

/* ---- begin, middle, end ---- */

/* Everything that can be wrong is found here, before there is a machine. */
static int session_prepare(struct session *s, struct err *err)
{
	const struct session_config *config = s->config;
	char *id = s->id;
	int ret = signals_init(&s->signals);

	ret = ret ? ret : loop_init(&s->loop);
	if (!ret)
		ret = loop_add(&s->loop, &s->signal_source, s->signals.fd, EPOLLIN, on_signal, s);
	ret = ret ? ret : container_id_new(id);
	if (ret)
		return err_sys(err, ret, "prepare to run the container");
	ret = container_spec_init(&s->container, config->container, config->machine->image, id, err);
	if (!ret && config->name)
		ret = claim_take(&s->claim, config->name, err);
	if (!ret)
		session_note(s);
	return ret;
}

static int session_boot(struct session *s, struct err *err)
{
	const struct session_config *config = s->config;
	struct machine_parts parts = MACHINE_PARTS_INIT;
	struct port_list ports;
	int ret = machine_parts_open(&parts, config->machine, config->paths, err);

	ports.n = 0;
	if (!ret)
		machine_limit(&s->machine, config->machine, s->id);
	ret = ret ? ret : streams_open(&s->streams, &s->container.spec, &ports, err);
	ret = ret ? ret
		  : machine_start(&s->machine, &parts, config->machine, config->paths, ports.numbers,
			    ports.fds, ports.n, &s->signals.saved, err);
	machine_parts_close(&parts);
	ports_close(&ports);
	timings_stamp(&s->timings, TIMING_SPAWNED);
	return ret;
}

/* The guest boots meanwhile. */
static int session_connect(struct session *s, struct err *err)
{
	struct buf spec;
	int ret;

	ret = loop_add(&s->loop, &s->machine_source, s->machine.control_fd, EPOLLIN, on_machine, s);
	if (!ret)
		ret = agent_init(&s->agent, &s->loop, s->streams.sockets[PORT_CONTROL],
			s->config->patience_ms, on_agent, s);
	if (ret)
		return err_sys(err, ret, "watch the machine");
	buf_init(&spec, PROTO_SPEC_MAX);
	ret = spec_encode(&s->container.spec, &spec);
	if (!ret)
		ret = agent_start(&s->agent, spec.data, spec.len);
	buf_done(&spec);
	if (ret == -EMSGSIZE)
		return err_set(err, E2BIG, "the container's arguments and environment are too long");
	if (ret)
		return err_sys(err, ret, "describe the container");
	return streams_begin(&s->streams, &s->loop, err);
}

static int session_loop(struct session *s, struct err *err)
{
	while (!session_over(s)) {
		int ret = loop_turn(&s->loop, session_timeout_ms(s));

		if (ret < 0)
			return err_sys(err, ret, "wait for the container");
		if (s->streams.hung_up && s->hangup_deadline_ms == UINT64_MAX)
			s->hangup_deadline_ms = clock_now_ms() + HANGUP_PATIENCE_MS;
		if (session_deadline_ms(s) != UINT64_MAX)
			session_check_time(s);
	}
	return 0;
}

/* The exit status, and the text for the user where there is one. After the machine was reaped. */
static int session_verdict(struct session *s, struct err *err)
{
	const struct agent *agent = &s->agent;

	if (s->abandoned)
		return s->status;
	switch (agent->state) {
	case AGENT_EXITED:
		if (agent->exited.oom_kills)
			log_warn("the container ran out of memory (%llu MiB); -m gives it more",
				(unsigned long long)(s->config->machine->memory_bytes >> 20));
		if (s->streams.lost_error)
			err_sys(err, s->streams.lost_error, "write the container's output");
		return s->streams.lost_error && !agent->exited.exit_status ? EXIT_OURS
									   : (int)agent->exited.exit_status;
	case AGENT_FAILED:
		err_set(err, (int)agent->failed.error, "%s", agent->failed.text);
		return (int)agent->failed.exit_status;
	case AGENT_LIED:
		*err = agent->err;
		return EXIT_OURS;
	case AGENT_BOOTING:
	case AGENT_STARTING:
	case AGENT_RUNNING:
	case AGENT_GONE:
		break;
	}
	return machine_verdict(&s->machine, err);
}

/* A machine whose container has exited is heard out if somebody wants to know its times; others have no more to say. */
static void session_halt(struct session *s)
{
	bool ask = s->config->timings && s->agent.state == AGENT_EXITED && !s->machine_gone;

	if (ask)
		machine_stop(&s->machine);
	machine_reap(&s->machine, ask ? STOP_PATIENCE_MS : 0);
}

static void session_end(struct session *s)
{
	streams_done(&s->streams);
	claim_drop(&s->claim);
	agent_done(&s->agent);
	container_spec_done(&s->container);
	loop_done(&s->loop);
	signals_done(&s->signals);
}

int session_run(const struct session_config *config, struct err *err)
{
	struct session s = {
		.config = config,
		.loop.epoll_fd = -1,
		.signals.fd = -1,
		.machine = MACHINE_INIT,
		.claim = CLAIM_INIT,
		.drain_deadline_ms = UINT64_MAX,
		.hangup_deadline_ms = UINT64_MAX,
	};
	int ret, status = EXIT_OURS;

	streams_init(&s.streams, config->container);
	timings_init(&s.timings, config->started_us);
	ret = session_prepare(&s, err);
	ret = ret ? ret : session_boot(&s, err);
	ret = ret ? ret : session_connect(&s, err);
	ret = ret ? ret : session_loop(&s, err);
	session_halt(&s);
	if (!ret)
		status = session_verdict(&s, err);
	session_end(&s);
	timings_stamp(&s.timings, TIMING_DONE);
	if (config->timings && !ret)
		timings_print(&s.timings, &s.machine.exit, &s.agent.hello);
	return status;
}

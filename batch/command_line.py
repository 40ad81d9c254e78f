"""The command's options, and what it does with them."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from . import doctor, plan, ray_engine, summary
from .client import Client
from .codes import BLOCKED, FAILED
from .dry_run import DryRun, Seen, duration
from .inputs import InputError, Source, find
from .journal import FILE, Journal, JournalError
from .overrides import SHORT, override
from .own_server import OwnServerError, StartedServer
from .run import ENGINES, LOCAL, Batch, Options, started_servers
from .workflow import DEFAULT, Prepared, WorkflowError, prepare, read

EXIT_CODES = """\
exit codes: 0 every input is anonymised or covered; 1 some are blocked; 2 the command line is wrong; 3 some failed;
4 --doctor found something missing; 130 interrupted. docs/batch.md tells more.
"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="batch",
        description=(
            "Anonymises many photographs. A run can be ended at any moment, even by force; the same command goes on "
            "where it was. Nothing of an original is written to a server's disk."
        ),
        epilog=EXIT_CODES,
    )
    made.add_argument("inputs", nargs="*", metavar="IN", help="file, folder, pattern, @LIST of paths, or .tar shard")
    made.add_argument("--out", type=Path, metavar="DIR", help="folder for the results; private, see docs/batch.md")
    made.add_argument("--workflow", type=Path, default=DEFAULT, metavar="FILE", help="in API format (group-photo)")
    made.add_argument(
        "--set", action="append", default=[], metavar="NODE.INPUT=VALUE", help="by id, class or title; repeatable"
    )
    for option in SHORT:
        made.add_argument(f"--{option.replace('_', '-')}", metavar="NAME", help=f"sets every {SHORT[option]}")
    servers = made.add_argument_group("servers")
    servers.add_argument(
        "--server", action="append", default=[], metavar="URL", help="running ComfyUI; repeatable. Else one is started"
    )
    servers.add_argument(
        "--comfyui-args", default="", metavar='"ARGS"', help="for the ComfyUI that is started; write --comfyui-args=..."
    )
    servers.add_argument(
        "--engine", choices=ENGINES, default=LOCAL, help="where it is started: here, or on a Ray cluster (%(default)s)"
    )
    servers.add_argument(
        "--ray-address", default="", metavar="ADDRESS", help='of the cluster, or "auto"; else of this machine'
    )
    servers.add_argument(
        "--ray-servers", type=_at_least_one, default=0, metavar="N", help="ComfyUIs on it (one for each GPU)"
    )
    servers.add_argument(
        "--in-flight",
        type=_at_least_one,
        default=Options.in_flight,
        metavar="N",
        help="jobs a server has (%(default)s)",
    )
    servers.add_argument(
        "--timeout", type=_seconds, default=Options.timeout, metavar="S", help="of a job from its start (%(default)g)"
    )
    servers.add_argument(
        "--answer-within",
        type=_seconds,
        default=Options.answer_within,
        metavar="S",
        help="else a server counts as hung (%(default)g)",
    )
    servers.add_argument(
        "--give-up", type=_seconds, default=Options.give_up, metavar="S", help="without any server (%(default)g)"
    )
    made.add_argument(
        "--retry", action="append", default=[], choices=(BLOCKED, FAILED), help="run these again; repeatable"
    )
    made.add_argument("--originals-in-sheet", action="store_true", help="show originals in the contact sheet")
    made.add_argument("--names-in-sheet", action="store_true", help="name the inputs in the contact sheet")
    made.add_argument("--json", action="store_true", help="print the counts as a last line of JSON")
    made.add_argument("--quiet", action="store_true", help="show no progress")
    other = made.add_mutually_exclusive_group()
    other.add_argument("--doctor", action="store_true", help="see whether the servers can do it, and do nothing")
    other.add_argument(
        "--dry-run", action="store_true", help="find faces, say what would become of them, and write nothing"
    )
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    made = parser()
    options = made.parse_args(arguments)
    if options.server and (options.engine != LOCAL or options.ray_address or options.ray_servers):
        made.error(
            "--server names servers that run; --engine and the options of Ray start others: leave out one of them"
        )
    if options.engine == LOCAL and (options.ray_address or options.ray_servers):
        made.error("--ray-address and --ray-servers are for --engine ray")
    try:
        prepared = prepare(override(read(options.workflow), options.set, {key: getattr(options, key) for key in SHORT}))
        sources = [] if options.doctor else _sources(options, made)
    except (WorkflowError, InputError) as error:
        made.error(str(error))
    try:
        if options.doctor:
            return _examine(options, prepared)
        if options.dry_run:
            return _plan(options, prepared, sources)
        return _run(options, prepared, sources)
    except KeyboardInterrupt:
        print("interrupted: run the same command to go on", file=sys.stderr)
        return summary.INTERRUPTED
    except (JournalError, OwnServerError) as error:
        print(f"error: {error}", file=sys.stderr)
        return summary.SOME_FAILED
    except OSError as error:
        print(
            f"error: the results cannot be written: {error}. Make room in --out or choose another folder, and run the "
            "command again; it goes on where it was",
            file=sys.stderr,
        )
        return summary.SOME_FAILED
    finally:
        ray_engine.disconnect()


def _sources(options: argparse.Namespace, made: argparse.ArgumentParser) -> list[Source]:
    """The photographs that the command line names; ends the process if it names none or no folder for results."""
    if options.out is None or not options.inputs:
        made.error("expected IN... and --out DIR: the photographs, and a folder for the results")
    if options.out.exists() and not options.out.is_dir():
        made.error(f"--out {options.out} is a file; expected a folder, or a name for a new one")
    return find(options.inputs, options.out)


def _run(options: argparse.Namespace, prepared: Prepared, sources: list[Source]) -> int:
    options.out.mkdir(parents=True, exist_ok=True)
    journal = Journal(options.out)
    try:
        done = Batch(_batch_options(options), prepared, sources, journal).run()
    finally:
        journal.close()
    print(done.text())
    if options.json:
        print(done.line(), flush=True)
    return done.exit_code()


def _plan(options: argparse.Namespace, prepared: Prepared, sources: list[Source]) -> int:
    """Say what a run would do; nothing is written."""
    settings = _batch_options(options)
    journal = Journal(options.out if (options.out / FILE).is_file() else None)
    try:
        with journal.undone():
            found = Batch(settings, prepared, sources, journal).look()
        pace = journal.pace(prepared.digest())
    finally:
        journal.close()
    print(plan.listing(found), flush=True)
    seen = Seen()
    if found.jobs:
        try:
            # What is known from the past need not be measured.
            seen = DryRun(settings, prepared, sources, timed=not pace[0]).find(found)
        except WorkflowError as error:
            print(error)
            return summary.OK
    made = plan.Plan(found, seen, duration(prepared, seen, len(found.jobs), pace))
    print(made.text())
    if options.json:
        print(made.line(), flush=True)
    return made.exit_code()


def _batch_options(options: argparse.Namespace) -> Options:
    return Options(
        folder=options.out,
        servers=_servers(options),
        engine=options.engine,
        ray_address=options.ray_address,
        ray_servers=options.ray_servers,
        comfyui_arguments=shlex.split(options.comfyui_args),
        in_flight=options.in_flight,
        timeout=options.timeout,
        answer_within=options.answer_within,
        give_up=options.give_up,
        retry=frozenset(options.retry),
        originals_in_sheet=options.originals_in_sheet,
        names_in_sheet=options.names_in_sheet,
        quiet=options.quiet,
    )


def _examine(options: argparse.Namespace, prepared: Prepared) -> int:
    """Say what servers have and lack; starts a ComfyUI if none is named."""
    report = doctor.Report(prepared, options.out)
    own: Sequence[StartedServer] = ()
    try:
        clients = {url: Client(url, options.answer_within) for url in _servers(options)}
        if not clients:
            own = started_servers(_batch_options(options), lambda _: None)
            for number, one in enumerate(own, start=1):
                one.start(lambda: False)
                name = one.name if len(own) == 1 else f"{one.name}, {number}"
                clients[name] = one.client(options.answer_within)
        for name, client in clients.items():
            report.add(name, doctor.examine(client, prepared, name))
    except OwnServerError as error:
        report.missing.append(str(error))
    finally:
        for one in own:
            one.stop()
    report.compare()
    code = summary.NOT_READY if report.missing else summary.OK
    print(report.text())
    if options.json:
        print(report.line(code), flush=True)
    return code


def _servers(options: argparse.Namespace) -> list[str]:
    """Addresses of the running servers, each once."""
    return list(dict.fromkeys(url.rstrip("/") for url in options.server))


def _at_least_one(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: expected at least 1")
    return number


def _seconds(text: str) -> float:
    seconds = float(text)
    if not seconds > 0:
        raise argparse.ArgumentTypeError(f"{text}: expected more than 0 seconds")
    return seconds

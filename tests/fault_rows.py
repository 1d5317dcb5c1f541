"""The faults that a sweep must survive, by kind, and what must be seen of each."""

from __future__ import annotations

KINDS: dict[str, dict[str, str]] = {
    "Runs and lanes that die": {
        "a lane killed with -9": (
            'the other runs finish; the killed one is tried once more, alone, then `failed`, reason "killed by '
            'signal 9"; exit 1'
        ),
        "the command itself killed with -9": (
            "its lanes end within seconds; the same command resumes; finished runs are not trained again"
        ),
        "a run raises": (
            "only that run is `failed`, with its traceback in its log; every failure is listed at the end; exit 1"
        ),
        "a run calls sys.exit(3)": "the same",
        "fail_fast=true": "the rest is not started; exit 1",
        "a run over run_timeout_min": "`failed`, reason timeout; the others finish",
        "a loss that is NaN or infinite": (
            "`diverged` at epoch k, in the table, never ranked best; others in its pack unharmed"
        ),
        "out of memory in a pack": "reason named; the pack is split and tried again; all runs finish",
        "every run kills its lane": "each is tried twice, then `failed`; the command ends; exit 1",
        "a run calls os._exit(0)": "`failed`, its lane's end is the reason; the others finish; exit 1, no traceback",
        "a run has a segmentation fault": "the same",
        "a run aborts": "the same",
        "a run overflows the stack": "the same",
        "a run kills its process group": "the same",
        "a run closes all file descriptors": "`failed` or completed; the others finish",
        "a run closes the lane's file descriptors": "the same",
        "a run stops itself with SIGSTOP": "ended by run_timeout_min; the others finish",
        "the kernel kills a lane that is out of memory": (
            '`failed`, reason "killed by signal 9"; the others finish; exit 1'
        ),
        "a lane that is left when its command is gone": "it ends within seconds, even if its run hangs",
        "the command and its lanes killed with -9, two hundred times at random": (
            "the final table equals that of a sweep that was left alone, no file is torn or left over"
        ),
    },
    "Ending": {
        "Ctrl-C once": "running epochs end, states are saved, exit 130, the line to resume is printed",
        "Ctrl-C twice": "at once, and still nothing torn",
        "SIGTERM": "as Ctrl-C, exit 143, within 10 s",
        "interrupted at ten random moments": "the final table equals that of a sweep that was left alone",
        "SIGTERM to every process at once": "as SIGTERM to the command: running epochs end, exit 143",
        "SIGTERM to a lane alone": "its run is lost or interrupted, nothing is torn; the same command completes it",
        "Ctrl-C in the first second": "exit 130, no traceback",
        "SIGTERM in the first second": "exit 143, no traceback",
        "Ctrl-C while the report is written": (
            "exit 130 and the line to resume, or the report is written; the runs are whole"
        ),
        "Ctrl-C during the runs, again during the report": "exit 130 and the line to resume",
        "SIGHUP": "the command and its lanes end; the same command resumes",
        "SIGQUIT": "the same",
        "SIGUSR1": "the same",
        "the command is suspended and goes on (SIGTSTP, SIGCONT)": "nothing happens; exit 0",
        "reports while a sweep trains": "each is whole; the sweep goes on",
    },
    "Full disks": {
        "disk full while writing a history": 'that run `failed`, reason "disk full"; rows already written readable',
        "disk full while writing a checkpoint": (
            'that run `failed`, reason "disk full"; the previous best.keras loads'
        ),
        "disk full while writing a report": "one line, exit 1; the runs are whole",
        "no inode is left": "as a full disk: runs `failed` with that reason, no traceback",
    },
    "Damaged and hostile files": {
        "history.csv torn, empty or damaged": (
            "the report names the file, marks the run as partial or leaves it out, keeps all others; exit 0 with "
            "a warning, 1 with --strict"
        ),
        "run.json truncated, not JSON, or missing": "the same",
        "best.keras damaged": "a clear error from evaluation; the table is unharmed",
        "samples.npz with a wrong byte, or anything else": "the report is written without the pictures; exit 0",
        "sweep.json edited by hand": "resume= exits with 2 and names the file; reports go on",
        "sweep.json whose runs lie outside the folder": "nothing there is read or written",
        "owner.json nested deeply, or with escape sequences": "no traceback, nothing raw on the terminal",
        "records with escape sequences and lone surrogates in every text": (
            "shown escaped by report, plan=true and resume="
        ),
        "run.json that holds anything": "costs its own run: named by the report, trained again by resume=",
        "a history of 1 GB": "report and resume stay bounded in memory; the run is shown in part",
        "a record of 1 GB": "the same; the run is trained again",
        "evaluate --predict of arrays that claim terabytes, are bombs or hold code": (
            "exit 2, one line, little memory; no code runs"
        ),
        "a model file that holds code, or leads elsewhere": (
            "evaluation exits with 2; no code runs, nothing is written elsewhere"
        ),
        "a record whose model lies elsewhere": "evaluation does not follow; exit 2",
        "a saved state that holds anything": "the run begins again or fails; no code runs",
        ".hydra/config.yaml that holds anything": "exit 0 or 2, no code runs",
    },
    "Ownership": {
        "two sweeps at once into one folder": "the second exits with 2 and names the first",
        "two sweeps started in the same second": "two folders",
        "resume= of a run that its sweep trains": "exit 2 and names the owner; the first goes on",
        "a run into a folder inside a sweep in use": "the same",
        "a sweep into the folder of a run in use": "the same",
        "a folder in use, named by a link": "the same",
        "a sweep into a folder, one of whose runs another command trains": "the same",
        "two resume= at the same moment": (
            "one trains, the other exits with 2 or finds all done; no run is trained twice"
        ),
        "SIGSTOP for the command while another wants its folder": "exit 2; the first goes on afterwards",
        "the sweep's folder is renamed while it trains": "exit 1, one line says so; the old path is not made again",
        "the sweep's folder is deleted while it trains": "the same",
        "another command has become the owner of a sweep that trains": (
            "exit 1, one line says so; the other's files stay"
        ),
        "owner.json of another container whose PID a process here has": (
            "the heartbeat decides: an old one is taken over"
        ),
        "owner.json of the time before a reboot": "the same",
        "owner.json of another container that lives, whose PID nobody here has": "the heartbeat decides: exit 2",
        "owner.json that is damaged": "judged by its age: exit 2 where it is fresh, taken over later",
        "owner.json that cannot be read": "exit 2 and names the file",
    },
    "Unreadable is not absent": {
        "a run's record cannot be read": "exit 2 and names the file; nothing is trained again or written",
        "the record of a single run cannot be read": "the same",
        "a sweep's plan cannot be read": "the same",
        "a user without the right to read a record": "the same",
        "the report of a sweep whose files cannot be read": (
            "names the files, shows the others; exit 0, 1 with --strict"
        ),
        "the saved state of an interrupted run cannot be read": "named, exit 1 or 2; the run does not begin again",
        "the history of an interrupted run cannot be read": "the same",
    },
    "Names and folders": {
        "a sweep folder that cannot be written": "one line, exit 2",
        "a path with spaces, quotes, Unicode and 200 characters": "works",
        "overrides with /, .., newlines, =, commas, lists": (
            "folder names stay inside the sweep's folder, are unique and legible"
        ),
        "a sweep into a project that has a folder code": (
            "exit 2 and names what is in the way; nothing of it is touched"
        ),
        "a sweep into a project that has a folder report": "the same",
        "a sweep into a folder that has a sweep.json of another program": "the same",
        "a run into a folder that has a train.log of another program": "the same",
        "a run's folder that holds files of one's own": "the same",
        "a report into a folder of one's own": "the same",
        "a sweep's folder report that has become a link": "not written through; a short message",
        "a sweep's folder code that has become a link": "the same",
        "a run's folder that has become a link": "what it leads to is untouched",
        "a run's record that has become a link": "the same",
        "two runs whose identities begin alike": "each has its own folder and is found again",
        "hydra.sweep.subdir of one's own": "exit 2, or resume= finds the runs where they are",
        "hydra.job.chdir=true and a data.path that is relative": "works, or exit 2; no traceback",
        "names that are HTML, formulas of a spreadsheet or YAML": "texts in pages, tables and configs, nothing more",
        "a sweep that was moved and copied": "both resume where they are, finished runs are kept",
    },
    "The copy of code and configs": {
        "a config or code file edited while the sweep runs": "all runs use what was there at its start",
        "--config-dir . and the sweeps below it": "no copy holds another",
        "sweeps started inside one's own package": "the same",
        "an editor's lock file among the configs": "left out",
        "configs with a link to the folder above": "copied once",
        "a link to nothing among one's own code": "left out",
        "a folder of configs with 20,000 files": "exit 2 and names the folder",
        "a config that cannot be read": "exit 2 and names the file, not the sweep's folder",
        "disk full while code and configs are copied": "one line, exit 2; what has a plan can be resumed",
        "the command killed with -9 as it begins": "what has a plan can be resumed; the same command completes",
    },
    "The terminal": {
        "the terminal goes away, without SIGHUP": "training goes on, the report is written, exit 0",
        "stdout on a disk that is full": "the same",
        "stdout and stderr on a disk that is full": "the same",
        "stdout is a pipe that nobody reads": "the same",
        "stdout and stderr are pipes that nobody reads": "the same",
        "stdout closed": "the same",
        "stderr closed": "the same",
        "stdin closed": "the same",
        "all streams closed": "the same",
        "a terminal of ASCII alone": "the same",
        "plan=true and the report's command into a pipe that nobody reads": "no traceback",
        "the report's command on a terminal that shows no ±": "exit 0",
        "a run prints 100 MiB": "completes; the command goes on",
    },
    "State between the runs of a lane": {
        "a run changes the current folder": (
            "the runs after it find what the first one found, and are written where they belong"
        ),
        "a run deletes the folder that it has changed to": "the same",
        "a run sets the umask to 777": "the same",
        "a run changes the environment": "the same",
        "a run ignores and blocks signals": "the same",
        "a run lowers its limits of open files and of the size of files": "the same",
        "a run empties sys.path and sys.modules": "the same",
        "a run turns logging off": "the same",
        "a run takes sys.stdout and sys.stderr away": "the same",
        "a callback sets Keras' floatx, epsilon, data format and policy": "the same",
        "a run's forked child goes on as if it were the run": "the child ends; the run and those after it complete",
        "a callback's forked child goes on as if it were the run": "the same",
        "a run's forked child calls sys.exit": "the same",
        "a run's forked child raises": "the same",
        "a run leaves a forked child that holds all that is open": "the same; the command ends",
        "a run leaves a daemon in a session of its own": "the same",
        "a run leaves a thread that does not end": "the same",
        "bytes that are no message on a lane's connection": "costs that lane's run at most",
        "objects that are no message on a lane's connection": "the same",
        "a lane that says twice that it is ready": "the same",
    },
    "Starting lanes": {
        "one of two lanes cannot start": "the other trains; exit 0",
        "a lane that keeps dying as it starts, beside one that works": "the other trains all; exit 0",
        "no lane can start": "every run `failed` with that reason; exit 1",
        "a lane that hangs as it starts": "it is replaced after a deadline; exit 0",
        "forty lanes for one run": "one lane",
        "threads_per_lane=100000": "exit 2",
        "lanes=100000": "exit 2",
        "too few file descriptors for the lanes": "one line, or fewer lanes; no traceback",
        "the system allows no further process": "a short message; the same command completes later",
    },
    "Before training": {
        "a run's folder is a file": "that run `failed`, the others complete; exit 1, no traceback; the file stays",
        "a data source that fails in lanes alone and names a secret": (
            "`failed` with that reason, redacted, no traceback on the terminal"
        ),
        "data that are others in a lane than in the plan": "`failed`, the data have changed",
        "a trainer's module that cannot be imported in lanes": "`failed` with that reason",
    },
    "Own code and configs in the checks": {
        "a model function that calls sys.exit(0)": "exit 2, one line that names it",
        "a model function that ends its process": "exit 2, one line that names it",
        "a model function with a segmentation fault": "exit 2, one line that names it",
        "a model function that kills its process": "exit 2, one line that names it",
        "a model function that raises KeyboardInterrupt": "exit 2, one line that names it",
        "a model function that raises a BaseException": "exit 2, one line that names it",
        "a model function that closes all descriptors": "exit 2, one line that names it",
        "a model function that writes to every descriptor": "exit 2, one line that names it",
        "a data source that calls sys.exit(0)": "exit 2, one line that names it",
        "a data source that raises KeyboardInterrupt": "exit 130, as by Ctrl-C",
        "a data source that raises a BaseException": "exit 2, one line that names it",
        "a data source without end": "exit 2, one line that names it",
        "a module of one's own that calls sys.exit(0)": "exit 2, one line that names it",
        "a module of one's own that raises KeyboardInterrupt": "exit 2, one line that names it",
        "a model function that sends Ctrl-C to its parent": "as Ctrl-C, or exit 2",
        "mistakes of YAML in a config of one's own": "exit 2, no traceback, no code runs",
    },
    "Secrets": {
        "a secret in an error, as it is": "stands in no file of the sweep and not on the terminal",
        "a secret in an error, percent-encoded": "the same",
        "a secret in an error, in base64": "the same",
        "a secret in an error, in base64 behind a user's name": "the same",
        "a secret in an error, in hex": "the same",
        "a secret that a callback prints to its log": "the same",
    },
    "The machine and its settings": {
        "the clock set back": "works",
        "the clock jumps three days ahead while runs train": "works; the folder stays its owner's",
        "the clock jumps three days back while runs train": "the same",
        "a file system without hard links and locks": "works; a folder still has one owner",
        "a disk with FAT": "works",
        "KERAS_BACKEND=jax": "exit 2 and names it, or the runs are as always",
        "keras.json with another backend": "the same",
        "keras.json with floatx float64": "the same",
        "keras.json with channels_first": "the same",
        "KERAS_MAX_EPOCHS=1": "the same",
        "a keras.json that is damaged": "exit 0 or 2, no traceback",
        "a current folder whose name is not UTF-8": "exit 2, one line",
        "an argument that is not UTF-8": "the same",
        "/dev/shm cannot be written": "works",
        "a home folder that cannot be written": "works",
    },
    "Size and origin": {
        "2,000 runs": "completes; the command's memory grows by less than 100 kB a run; the report opens",
        "what a resumed sweep's report says was run": "every command that made it",
    },
}
"""Kind -> fault -> what must be seen; "the same" is that of the row above."""

FAULTS = {name: expected for rows in KINDS.values() for name, expected in rows.items()}

//! A caller that loses interest: nothing more is sent, and nothing is held.

use super::{await_close, millis, ok, reply, seconds, status};
use crate::{Act, Call, End, Payload, Reply, Scenario, Script, Setup, Sighting, Step};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario("while-waiting-for-the-answer", "its connection closes")
            .origin(Script::requests(vec![vec![await_close()]]))
            .setup(patient)
            .call(Call::get("/").cancelled_after(millis(200)))
            .sees(closes())
            .sees_requests(1),
        scenario("while-the-body-comes", "its connection closes")
            .origin(Script::requests(vec![vec![
                Reply::status(200).header("content-length", "900000").body("some").raw().step(),
                await_close(),
            ]]))
            .setup(patient)
            .call(Call::get("/").cancelled_after(millis(200)))
            .sees(closes()),
        scenario("while-it-sends", "its connection closes")
            .origin(Script::connections(vec![vec![Step::ReadHead, await_close()]]))
            .setup(patient)
            .call(
                Call::put("/", "")
                    .payload(Payload::Replayable {
                        pieces: vec![b"piece".to_vec(); 1000],
                        gap: millis(20),
                    })
                    .cancelled_after(millis(200)),
            )
            .sees(closes()),
        scenario("while-it-sleeps", "no other attempt is made")
            .origin(Script::replies([status(503)]))
            .setup(|setup| setup.base_wait(millis(500)))
            .call(
                Call::get("/")
                    .cancelled_after(millis(200))
                    // A blocking caller's deadline is known before the wait: it is not begun.
                    .somehow(End::Cancelled),
            )
            .act(Act::Rest(millis(700)))
            .sees_requests(1),
        scenario("while-it-waits-for-a-slot", "its place in the queue goes to the next")
            .origin(Script::requests(vec![
                vec![Step::Pause(millis(600)), ok().step()],
                reply(&ok()),
            ]))
            .setup(one_slot)
            .together([
                Call::get("/holds").comes_to([200]),
                Call::get("/gives-up").behind(0).cancelled_after(millis(150)),
                Call::get("/next").behind(1).comes_to([200]),
            ])
            .sees_requests(2)
            .act(Act::Figures { open: 1, in_use: 0, waiting: 0 }),
        scenario("frees-its-slot", "the slot is there for the next call at once")
            .origin(Script::requests(vec![vec![await_close()], reply(&ok())]))
            .setup(one_slot)
            .call(Call::get("/").cancelled_after(millis(200)))
            .call(Call::get("/").comes_to([200]).takes(millis(0), seconds(3)))
            .act(Act::Figures { open: 1, in_use: 0, waiting: 0 }),
        scenario("leaves-nothing", "the figures are as if it had never been")
            .origin(Script::requests(vec![vec![await_close()]; 8]))
            .setup(patient)
            .together((0..8).map(|place| Call::get("/").cancelled_after(millis(100 + 20 * place))))
            .act(Act::Figures { open: 0, in_use: 0, waiting: 0 })
            .sees(closes()),
    ]
}

fn scenario(name: &str, title: &str) -> Scenario {
    Scenario::new(format!("cancellation/{name}"), &["R-T-7"], title)
}

fn closes() -> Sighting {
    Sighting::AllClosed { within: seconds(2) }
}

fn patient(setup: Setup) -> Setup {
    setup.timeouts(|timeouts| timeouts.read = seconds(10))
}

fn one_slot(setup: Setup) -> Setup {
    let mut setup = patient(setup).timeouts(|timeouts| timeouts.pool = seconds(5));
    setup.pool.max_connections = 1;
    setup
}

//! Serves the requests of one connection of HTTP/2 side by side, each by a list of its own.

use core::mem;
use core::time::Duration;
use std::collections::BTreeMap;
use std::time::Instant;

use super::http2::{Arrival, Conversation};
use super::track::{Track, Turn};
use super::{Connection, Flow};
use crate::shared::Phase;
use crate::socket::{PATIENCE, Wait};
use crate::{Closing, ErrorCode, Frame, Leftover, Script, Step, StepError};

/// How long a connection without anything to do waits for something to come.
const IDLE: Duration = Duration::from_millis(20);

/// A request on its way: its list, and the steps of that.
#[derive(Debug)]
struct Coming<'a> {
    request: usize,
    /// `None` where it is beyond the plan.
    list: Option<usize>,
    steps: &'a [Step],
}

impl Connection {
    /// Serves a connection on which the client begins with the preface of HTTP/2.
    pub(super) fn serve_streams(&mut self, lists: &[Vec<Step>], script: &Script) -> Flow {
        if let Err(error) = self.begin_http2(script.manners(), Wait::begin(PATIENCE)) {
            self.report_garbled(error);
            return self.reset();
        }
        let Some(mut conversation) = self.http2.take() else { return self.reset() };
        let mut coming = BTreeMap::new();
        let mut tracks: Vec<Track<'_>> = Vec::new();
        loop {
            let due = match self.play_tracks(&mut conversation, &mut tracks) {
                Ok(due) => due,
                Err(flow) => {
                    self.cut_off(&coming);
                    return flow;
                }
            };
            let phase = self.shared.phase();
            let mut came = self.receive_streams(&conversation, due);
            match self.take_arrivals(&mut conversation, lists, script, &mut coming) {
                Ok(began) => {
                    came |= !began.is_empty();
                    tracks.extend(began);
                }
                // Nothing comes from a client that has gone, but lists may have steps left.
                Err(_) if self.socket.ended().is_some() => {}
                Err(wrong) => {
                    self.report(*wrong);
                    self.cut_off(&coming);
                    self.report_closed(tracks);
                    return self.reset();
                }
            }
            let gone = self.socket.ended().is_some();
            let quiet = coming.is_empty() && !came;
            let over = gone || phase == Phase::Stopped || (phase >= Phase::Finishing && quiet);
            if over && tracks.is_empty() {
                self.cut_off(&coming);
                return Flow::Open;
            }
        }
    }

    /// Waits for something to come until so late at most; answers whether anything did.
    fn receive_streams(&mut self, conversation: &Conversation, due: Instant) -> bool {
        let length = due.saturating_duration_since(Instant::now());
        // What is no frame is found when it is taken.
        if !matches!(conversation.session.frame_length(self.socket.buffered()), Ok(None)) {
            return true;
        }
        if self.socket.ended().is_some() {
            self.shared.wait(length, Phase::Stopped);
            return false;
        }
        // The end is found by asking the socket.
        self.socket.receive_within(length).unwrap_or(false)
    }

    /// Takes every whole frame that has been received, and answers the lists that begin with them;
    /// or what is wrong with the connection, which is then to be reset.
    fn take_arrivals<'a>(
        &mut self,
        conversation: &mut Conversation,
        lists: &'a [Vec<Step>],
        script: &'a Script,
        coming: &mut BTreeMap<u32, Coming<'a>>,
    ) -> Result<Vec<Track<'a>>, Box<Leftover>> {
        let mut began = Vec::new();
        let connection = self.index;
        let garbled = |error| Box::new(Leftover::Garbled { connection, error });
        while let Some(arrival) = self.take_frame(conversation).map_err(garbled)? {
            let ended = match arrival {
                Arrival::Nothing => continue,
                Arrival::End { stream } => stream,
                Arrival::Head { stream, head, .. } if stream > conversation.last_heeded => {
                    let request = self.shared.request(self.index, Some(stream), head);
                    conversation.requests.insert(stream, request);
                    continue;
                }
                Arrival::Head { stream, head, ends } => {
                    let (request, number) = self.shared.claim(self.index, Some(stream), head);
                    conversation.requests.insert(stream, request);
                    let planned = lists.get(number);
                    let Some(steps) = planned.map(Vec::as_slice).or(script.beyond()) else {
                        return Err(Box::new(Leftover::UnexpectedRequest { request }));
                    };
                    let list = planned.map(|_| number);
                    coming.insert(stream, Coming { request, list, steps });
                    if !ends {
                        continue;
                    }
                    self.shared.complete(request);
                    stream
                }
            };
            if let Some(Coming { request, list, steps }) = coming.remove(&ended) {
                self.shared.processed(request, true);
                began.push(Track::new(ended, list, steps));
            }
        }
        Ok(began)
    }

    /// Plays every list as far as it goes now, and answers when one is to be played again. Where
    /// the connection is closed, answers that.
    fn play_tracks(
        &mut self,
        conversation: &mut Conversation,
        tracks: &mut Vec<Track<'_>>,
    ) -> Result<Instant, Flow> {
        let mut due = Instant::now() + IDLE;
        let mut left = Vec::new();
        let mut playing = mem::take(tracks).into_iter();
        for mut track in playing.by_ref() {
            match self.play_track(conversation, &mut track) {
                Ok(Turn::Done) => {}
                Ok(Turn::Wait(until)) => {
                    due = due.min(until);
                    left.push(track);
                }
                Ok(Turn::Closed) => {
                    self.report_closed([track].into_iter().chain(left).chain(playing));
                    return Err(Flow::Closed);
                }
                Err(error) => {
                    self.report_track(&track, error);
                    self.give_up(conversation, track.stream);
                }
            }
        }
        *tracks = left;
        Ok(due)
    }

    /// Reports what is left of lists whose connection the server has closed.
    fn report_closed<'a>(&self, tracks: impl IntoIterator<Item = Track<'a>>) {
        for track in tracks {
            self.report_track(&track, StepError::AfterClose);
        }
    }

    fn report_track(&self, track: &Track<'_>, error: StepError) {
        let (Some(list), Some(instruction)) = (track.list, track.instruction()) else { return };
        let (connection, step, instruction) = (self.index, track.step, instruction.clone());
        self.report(Leftover::Stopped { connection, list, step, instruction, error });
    }

    /// Ends the stream of a list that has failed, so that its client waits for nothing.
    fn give_up(&mut self, conversation: &mut Conversation, stream: u32) {
        let reset = Frame::rst_stream(ErrorCode::INTERNAL_ERROR);
        // It fails only where the client has gone already.
        let _ = self.send_frames(conversation, stream, &[reset], Wait::begin(PATIENCE));
    }

    /// Reports the requests that have claimed a list and have not come to their end.
    fn cut_off(&self, coming: &BTreeMap<u32, Coming<'_>>) {
        for Coming { request, list, .. } in coming.values() {
            let (request, Some(list)) = (*request, *list) else { continue };
            let error = match self.socket.ended() {
                Some(Closing::ResetByPeer) => StepError::PeerReset,
                Some(_) => StepError::PeerClosed,
                None => StepError::ServerFinished,
            };
            self.report(Leftover::RequestCutOff { request, list, error });
        }
    }
}

//! iceoryx2's publish-subscribe behind C functions, for `latency_commit_to_read`.
//!
//! A port has a node of its own, so that nothing of one thread's port is shared with the other thread's but
//! the shared memory. Each port is used by one thread at a time. Errors are a null pointer or -1.

use iceoryx2::port::{publisher::Publisher, subscriber::Subscriber};
use iceoryx2::prelude::*;
use std::ffi::{c_char, CStr};

/// 64 bytes, as a record of one line of the project's ring.
#[derive(Debug, Clone, Copy, ZeroCopySend)]
#[repr(C)]
#[repr(align(64))]
pub struct Message {
    number: u64,
    rest: [u64; 7],
}

type Service = ipc::Service;
type Factory = iceoryx2::service::port_factory::publish_subscribe::PortFactory<Service, Message, ()>;

pub struct Sender {
    port: Publisher<Service, Message, ()>,
    _factory: Factory,
    _node: Node<Service>,
}

pub struct Receiver {
    port: Subscriber<Service, Message, ()>,
    _factory: Factory,
    _node: Node<Service>,
}

fn open(name: *const c_char) -> Option<(Node<Service>, Factory)> {
    let name = unsafe { CStr::from_ptr(name) }.to_str().ok()?;
    let node = NodeBuilder::new().create::<Service>().ok()?;
    let factory = node
        .service_builder(&name.try_into().ok()?)
        .publish_subscribe::<Message>()
        .subscriber_max_buffer_size(16)
        .open_or_create()
        .ok()?;
    Some((node, factory))
}

#[no_mangle]
pub extern "C" fn mdp_iceoryx2_sender(name: *const c_char) -> *mut Sender {
    set_log_level(LogLevel::Error);
    let make = || {
        let (node, factory) = open(name)?;
        let port = factory.publisher_builder().create().ok()?;
        Some(Box::into_raw(Box::new(Sender { port, _factory: factory, _node: node })))
    };
    make().unwrap_or(std::ptr::null_mut())
}

#[no_mangle]
pub extern "C" fn mdp_iceoryx2_receiver(name: *const c_char) -> *mut Receiver {
    set_log_level(LogLevel::Error);
    let make = || {
        let (node, factory) = open(name)?;
        let port = factory.subscriber_builder().create().ok()?;
        Some(Box::into_raw(Box::new(Receiver { port, _factory: factory, _node: node })))
    };
    make().unwrap_or(std::ptr::null_mut())
}

/// Loans a sample, writes it in place, sends it. 0: done.
#[no_mangle]
pub extern "C" fn mdp_iceoryx2_send(sender: &Sender, number: u64) -> i32 {
    match sender.port.loan_uninit() {
        Ok(sample) => match sample.write_payload(Message { number, rest: [0; 7] }).send() {
            Ok(_) => 0,
            Err(_) => -1,
        },
        Err(_) => -1,
    }
}

/// 1: copied the next message to `out`; 0: there is none.
#[no_mangle]
pub extern "C" fn mdp_iceoryx2_receive(receiver: &Receiver, out: &mut Message) -> i32 {
    match receiver.port.receive() {
        Ok(Some(sample)) => {
            *out = *sample.payload();
            1
        }
        Ok(None) => 0,
        Err(_) => -1,
    }
}

#[no_mangle]
pub extern "C" fn mdp_iceoryx2_close(sender: *mut Sender, receiver: *mut Receiver) {
    unsafe {
        drop(Box::from_raw(sender));
        drop(Box::from_raw(receiver));
    }
}

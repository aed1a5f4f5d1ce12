//! Protobuf in buffers of the size of our messages.
//!
//! A call keeps the buffer that it encodes into for as long as it lasts, and tonic's own codec makes
//! that 8 KiB, of which a stream that says `true` or `false` uses seven bytes. Ten thousand streams
//! would hold eighty megabytes of nothing, most of it never touched until the next round of streams
//! lays it out in another way: memory that seems to leak. A buffer grows when a message needs it.

use std::marker::PhantomData;

use prost::Message;
use tonic::codec::{BufferSettings, Codec};
use tonic_prost::{ProstCodec, ProstDecoder, ProstEncoder};

use crate::limits;

/// The codec that the generated code names.
#[derive(Debug)]
pub struct SmallBuffers<Encode, Decode>(PhantomData<(Encode, Decode)>);

impl<Encode, Decode> Default for SmallBuffers<Encode, Decode> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<Encode, Decode> Codec for SmallBuffers<Encode, Decode>
where
    Encode: Message + Send + 'static,
    Decode: Message + Default + Send + 'static,
{
    type Encode = Encode;
    type Decode = Decode;
    type Encoder = ProstEncoder<Encode>;
    type Decoder = ProstDecoder<Decode>;

    fn encoder(&mut self) -> Self::Encoder {
        ProstCodec::<Encode, Decode>::raw_encoder(settings())
    }

    fn decoder(&mut self) -> Self::Decoder {
        ProstCodec::<Encode, Decode>::raw_decoder(settings())
    }
}

/// Messages that are ready at the same moment share a buffer up to its size.
fn settings() -> BufferSettings {
    BufferSettings::new(limits::MESSAGE_BUFFER_BYTES, limits::MESSAGE_BUFFER_BYTES)
}

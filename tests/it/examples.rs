//! The programs of `examples/`: each runs, and says what it is to say.

/// Compiles the example in, and checks all that it prints.
macro_rules! says {
    ($($example:ident $path:literal $said:literal)+) => {
        $(
            #[path = $path]
            #[allow(dead_code, reason = "its main function is that of the program")]
            mod $example;

            #[tokio::test]
            async fn $example() {
                let mut said = Vec::new();
                $example::run(&mut said).await.unwrap();
                let said = String::from_utf8(said).unwrap();
                assert_eq!(said.trim_end(), $said);
            }
        )+
    };
}

says! {
    quickstart "../../examples/quickstart.rs" "\
1 adults at once
2 adults at once
2 adults at once
Ada is 36
Alan is 41"

    key_value "../../examples/key_value.rs" "\
the theme was nothing and is dark
the theme was dark and is light
theme = light"

    presence "../../examples/presence.rs" "\
online: kyle
online: ada, kyle
online: kyle, ada
online: kyle"

    chat "../../examples/chat.rs" "\
Ada is typing
1 message, 0 typing
Ada: Hello! 👋🎉"

    actions "../../examples/actions.rs" "\
1 user at once
completed after the stream had it
failed: users are never removed
1 is Kyle Mathews"

    languages "../../examples/languages.rs" "\
en: 2 (42 bytes)
de: 1 (7 bytes)
fr: 1 (30 bytes)
Update 2. fr (2)
Update 1. fr (3)
Insert 4. eo (1)"
}
